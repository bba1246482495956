package cause

import (
	"strconv"
	"strings"
)

// Client is the client of a connection: the subject of the sentences. The strings
// are what the client says of itself in its login and its connection attributes. So
// they are quoted where they are shown, and no cause is named by them alone. The
// zero value, seen from [VantageClient], is this process.
type Client struct {
	Local    bool   // this process: sentences speak of it and of *sql.DB
	Address  string // host:port
	User     string
	Database string
	Name     string // the library: connection attribute _client_name
	Version  string // of the library: connection attribute _client_version
	Program  string // connection attribute program_name
}

// String names the client: "this process", or as much as is known of another
// one: "PyMySQL 1.0.2 at 10.0.0.7:4711 as user shop".
func (c Client) String() string {
	if c.Local {
		return "this process"
	}
	s := "the client"
	if c.Name != "" {
		s = word(c.Name)
		if c.Version != "" {
			s += " " + word(c.Version)
		}
	}
	if c.Program != "" {
		s += " in " + word(c.Program)
	}
	if c.Address != "" {
		s += " at " + word(c.Address)
	}
	if c.User != "" {
		s += " as user " + word(c.User)
	}
	return s
}

// word is a name that a peer gave itself, fit to stand in a sentence: what is no
// plain word is quoted, and nothing is long.
func word(s string) string {
	const limit = 64
	if len(s) > limit {
		s = s[:limit] + "…"
	}
	plain := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:/@+[]% ", r))
	}) < 0
	if plain && strings.TrimSpace(s) == s {
		return s
	}
	return strconv.Quote(s)
}

// Vantage is the place from which a connection is seen. It limits what can be
// claimed: how long the client waited is not known at the server's side, where a
// client that stalls and a network that is slow look the same.
type Vantage uint8

const (
	// VantageClient: in the client's own process.
	VantageClient Vantage = iota
	// VantageProxy: from a proxy between the two, which has a connection to
	// each.
	VantageProxy
	// VantageClientHost: from a capture at the client's end of the network.
	VantageClientHost
	// VantageServerHost: from a capture at the server's end.
	VantageServerHost
	// VantageBetween: from a capture on the way, or from one of which nobody
	// knows where it was taken.
	VantageBetween
)

var vantageNames = [...]string{"client", "proxy", "capture at the client", "capture at the server", "capture in between"}

func (v Vantage) String() string {
	if int(v) < len(vantageNames) {
		return vantageNames[v]
	}
	return "invalid vantage"
}

// ours reports whether the client is this process.
func (e *Evidence) ours() bool {
	return e.Client.Local || e.Client == Client{} && e.Vantage == VantageClient
}

// far reports whether the client's own pace cannot be seen from here: a delay on
// the way to it looks the same.
func (e *Evidence) far() bool { return !e.ours() && e.Vantage >= VantageServerHost }
