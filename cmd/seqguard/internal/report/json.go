package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Object is a violation for programs. Names are stable.
type Object struct {
	Time         time.Time `json:"time"`
	Cause        string    `json:"cause"`
	Severity     string    `json:"severity"`
	Title        string    `json:"title"`
	Explanation  string    `json:"explanation"`
	Advice       string    `json:"advice"`
	Docs         string    `json:"documentation"`
	Executed     string    `json:"executed"`
	RetrySafe    *bool     `json:"retry_safe,omitempty"` // of a misuse there is nothing to say
	NotExcluded  []string  `json:"not_excluded,omitempty"`
	Client       Client    `json:"client"`
	Server       string    `json:"server"`
	Version      string    `json:"server_version,omitempty"`
	Connection   uint32    `json:"connection_id"`
	Phase        string    `json:"phase"`
	Expected     *uint8    `json:"expected"` // sequence id that was due; null if it is no matter of numbers
	Actual       *uint8    `json:"actual"`
	Vantage      string    `json:"vantage"`
	Notes        []string  `json:"notes,omitempty"`
	Opaque       string    `json:"opaque,omitempty"`
	TraceID      string    `json:"trace_id,omitempty"`
	Packets      []Packet  `json:"packets"`
	Forgotten    uint64    `json:"packets_forgotten"`
	FirstFinding bool      `json:"first"` // of this connection: later ones may be its consequence
}

// Client is who the client says it is.
type Client struct {
	Address string `json:"address"`
	User    string `json:"user"`
	Program string `json:"program"`
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
}

// Packet is one packet, or a run of rows.
type Packet struct {
	Time      time.Time `json:"time"`
	From      string    `json:"from"` // client, server
	First     uint8     `json:"sequence_first"`
	Last      uint8     `json:"sequence_last"`
	Kind      string    `json:"kind"`
	Label     string    `json:"label"`
	Count     int       `json:"count"`
	Bytes     int       `json:"bytes"`
	Violation string    `json:"violation,omitempty"`
}

// PacketObject makes a packet for programs.
func PacketObject(p *conversation.Packet) Packet {
	o := Packet{
		Time: p.Time, From: "server", First: p.First, Last: p.Last, Kind: p.Kind.String(), Label: p.Label(),
		Count: p.Count, Bytes: p.Bytes,
	}
	if p.Direction == session.FromClient {
		o.From = "client"
	}
	if p.Violation != session.None {
		o.Violation = p.Violation.String()
	}
	return o
}

// ClientObject makes a client for programs.
func ClientObject(c cause.Client) Client {
	return Client{Address: c.Address, User: c.User, Program: c.Program, Name: c.Name, Version: c.Version}
}

// Object makes a violation for programs.
func (v *Violation) Object() *Object {
	f := &v.Finding
	e := &f.Evidence
	o := &Object{
		Time: f.Time, Cause: string(v.Cause.Slug), Severity: v.Cause.Severity.String(), Title: v.Cause.Title,
		Explanation: v.Cause.Explanation, Advice: v.Cause.Advice, Docs: cause.DocURL(v.Cause.Slug),
		Executed: v.Cause.Executed.String(), Client: ClientObject(v.Client()),
		Server: v.Server, Version: e.ServerVersion, Connection: f.Connection, Phase: e.Phase.String(), Vantage: e.Vantage.String(),
		Notes: v.Notes, Opaque: f.OpaqueReason, TraceID: v.TraceID, Packets: make([]Packet, len(f.History)), Forgotten: f.Forgotten,
		FirstFinding: f.Number <= 1,
	}
	if safe, applies := v.Cause.Retry(); applies {
		o.RetrySafe = &safe
	}
	for _, a := range v.Cause.Alternatives {
		o.NotExcluded = append(o.NotExcluded, string(a))
	}
	if v.numbered() {
		expected, actual := e.Expected, e.Actual
		o.Expected, o.Actual = &expected, &actual
	}
	for i := range f.History {
		o.Packets[i] = PacketObject(&f.History[i])
	}
	return o
}

// JSON writes a violation as one line.
func (v *Violation) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v.Object())
}
