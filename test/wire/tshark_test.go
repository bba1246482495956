package wire_test

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// TestTshark compares what the guard saw with what tshark sees in a capture of
// the same connection, packet for packet.
func TestTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("eight captures take a minute")
	}
	for _, name := range []string{"mysql9", "mariadb1011"} {
		for _, m := range []struct {
			name    string
			version uint16
			params  string
		}{
			{"plaintext", 0, ""},
			{"TLS 1.2", tls.VersionTLS12, ""},
			{"TLS 1.3", tls.VersionTLS13, ""},
			{"compressed", 0, "compress=true"},
		} {
			t.Run(name+"/"+m.name, func(t *testing.T) {
				server := mysqltest.Shared(t, name)
				c := startCapture(t, server.Addr)
				secrets := filepath.Join(t.TempDir(), "secrets")
				r := recorded(t, server, m.version, secrets, m.params)
				c.stop()
				_, port, _ := net.SplitHostPort(r.Local.String())
				if m.params != "" {
					c = c.inflated(t, port)
				}
				list := c.dissect(t, port, "-o", "tls.keylog_file:"+secrets)
				compare(t, packets(r), list)
			})
		}
	}
}

// recorded runs the whole variety on a connection and returns a report of it.
// The key log is written by a writer of the user's own, which the guard serves.
func recorded(t *testing.T, server *mysqltest.Instance, version uint16, secrets, params string) *seqguard.Report {
	t.Helper()
	ctx := kit.Timeout(t, 2*time.Minute)
	db, col := kit.Open(t, server.DSN("multiStatements=true&maxAllowedPacket=0&"+params), func(cfg *mysql.Config) {
		if version != 0 {
			f, err := os.Create(secrets)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = f.Close() })
			cfg.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, KeyLogWriter: f}
		}
	}, seqguard.WithHistory(4096))
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	variety(t, ctx, conn)
	big(t, ctx, conn)
	provoke(t, ctx, conn)
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	r := col.Only(t)
	if r.Forgotten > 0 {
		t.Fatalf("%d packets were forgotten: the variety is too long for a history", r.Forgotten)
	}
	return r
}

// packet is one packet of the guard's history; of those in a run of rows, only
// the id is known, and the length of all of them.
type packet struct {
	dir     session.Direction
	kind    session.Kind
	command session.Command
	code    uint16
	seq     uint8
	length  int // -1 in a run but for its last packet, which has what the run has
	before  int // packets of the run before this one
}

func packets(r *seqguard.Report) []packet {
	var out []packet
	for _, e := range r.History {
		for i := range e.Count {
			p := packet{dir: e.Direction, kind: e.Kind, command: e.Command, code: e.ErrorCode, seq: e.First + uint8(i), length: -1, before: i}
			if i == e.Count-1 {
				p.length = e.Bytes
			}
			out = append(out, p)
		}
	}
	return out
}

// compare holds the two lists against each other: direction, length and id of
// every packet, the command of each command, the kind of each answer as far as
// tshark tells it, the code of each error.
func compare(t *testing.T, ours []packet, theirs []dissected) {
	t.Helper()
	// The report was made before the connection was closed.
	if n := len(theirs); n != len(ours)+1 || theirs[n-1].command != int(session.ComQuit) {
		t.Errorf("%d packets in the history; tshark has %d, want one more, COM_QUIT", len(ours), len(theirs))
	}
	seen := map[session.Kind]int{}
	var bytes, wrong int
	for i, p := range ours[:min(len(ours), len(theirs))] {
		d := theirs[i]
		problem := p.differs(d)
		if p.before == 0 {
			bytes = 0
		}
		bytes += d.length
		if problem == "" && p.length >= 0 && bytes != p.length {
			problem = "length"
		}
		if problem != "" {
			t.Errorf("packet %d: %s: here %+v; tshark: %v", i, problem, p, d)
			if wrong++; wrong > 20 {
				t.FailNow()
			}
		}
		seen[p.kind]++
	}
	if !t.Failed() {
		t.Logf("%d packets, all alike: %v", len(ours), seen)
	}
}

// differs names what is different, as far as one packet tells.
func (p packet) differs(d dissected) string {
	switch {
	case d.client != (p.dir == session.FromClient):
		return "direction"
	case d.seq != int(p.seq):
		return "id"
	case d.code != int(p.code):
		return "error code"
	case p.kind == session.KindCommand && d.command != int(p.command):
		return "command"
	case p.kind != session.KindCommand && d.command >= 0 && !readAsCommand(p.kind):
		return "command where there is none"
	}
	if p.misread(d) {
		return ""
	}
	kinds := d.kinds()
	for _, k := range kinds {
		if k == p.kind {
			return ""
		}
	}
	if len(kinds) > 0 {
		return "kind"
	}
	return ""
}

// readAsCommand: what tshark takes every packet of the client's for that it has
// no state for, the packets of a file and the end of a long statement.
func readAsCommand(k session.Kind) bool {
	switch k {
	case session.KindAuthResponse, session.KindInfileData, session.KindInfileEnd, session.KindContinuation:
		return true
	}
	return false
}

// misread: where tshark 4.0 is wrong about a kind. It takes a binary row for an
// OK (both begin with 0), a packet of 16 MiB that begins with 0xFE, and what
// continues it, for the end of a result, and the request for a file for a count
// of columns.
func (p packet) misread(d dissected) bool {
	switch p.kind {
	case session.KindRow, session.KindContinuation:
		return d.response == 0 || d.response == 0xFE && d.length > 8
	case session.KindLocalInfile:
		return d.response < 0
	}
	return false
}
