package session

import (
	"fmt"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// maxLen is the length of a packet that the next one continues.
const maxLen = 1<<24 - 1

// line is one packet of a conversation and what the tracker must say of it.
type line struct {
	dir     Direction
	seq     uint8
	length  int // of the packet, if it is not that of the payload
	payload string

	kind  Kind
	phase Phase // after it
	ends  bool  // Done
	viol  Violation
	due   uint8 // Expected, checked when there is a violation
	code  uint16
	cmd   Command
}

func server(seq int, payload string, k Kind, after Phase) line {
	return line{dir: FromServer, seq: uint8(seq), payload: payload, kind: k, phase: after}
}

func client(seq int, payload string, k Kind, after Phase) line {
	return line{dir: FromClient, seq: uint8(seq), payload: payload, kind: k, phase: after}
}

// command is a client packet that starts an exchange.
func command(c Command, rest string, after Phase) line {
	l := client(0, string([]byte{byte(c)})+rest, KindCommand, after)
	l.cmd = c
	return l
}

func (l line) done() line                         { l.ends = true; return l }
func (l line) long(n int) line                    { l.length = n; return l }
func (l line) breaks(v Violation, due uint8) line { l.viol, l.due = v, due; return l }
func (l line) err(code uint16) line               { l.code = code; return l }

// play feeds the lines to t, in order, and checks each.
func play(tb testing.TB, t *Tracker, lines ...line) {
	tb.Helper()
	for i, l := range lines {
		p := Packet{Direction: l.dir, Seq: l.seq, Length: uint32(len(l.payload)), Prefix: []byte(l.payload)}
		if l.length > 0 {
			p.Length = uint32(l.length)
		}
		if l.code == 0 && len(p.Prefix) > 32 && l.kind != KindGreeting {
			p.Prefix = p.Prefix[:32] // as wire does
		}
		sameByBothWays(tb, t, p)
		ev := t.Packet(p)
		what := fmt.Sprintf("packet %d (%s, id %d, %d bytes % x)", i, l.dir, l.seq, p.Length, p.Prefix[:min(len(p.Prefix), 8)])
		if ev.Kind != l.kind || t.Phase() != l.phase || ev.Done != l.ends || ev.Violation != l.viol || ev.ErrorCode != l.code || ev.Command != l.cmd {
			tb.Fatalf("%s:\n got %s, then %s, done %v, violation %q, code %d, %s\nwant %s, then %s, done %v, violation %q, code %d, %s", what,
				ev.Kind, t.Phase(), ev.Done, ev.Violation, ev.ErrorCode, ev.Command,
				l.kind, l.phase, l.ends, l.viol, l.code, l.cmd)
		}
		if l.viol != None && ev.Expected != l.due {
			tb.Fatalf("%s: id %d was due, want %d", what, ev.Expected, l.due)
		}
	}
}

// dialect is what the two sides have agreed on.
type dialect struct {
	name    string
	caps    capabilities
	ext     extended
	mariaDB bool
}

const baseCaps = clientMySQL | clientProtocol41

var (
	classic    = dialect{name: "MySQL with EOF", caps: baseCaps}
	deprecated = dialect{name: "MySQL without EOF", caps: baseCaps | clientDeprecateEOF}
	maria      = dialect{name: "MariaDB with EOF", caps: clientProtocol41, mariaDB: true}
	mariaCache = dialect{name: "MariaDB with EOF, cached metadata", caps: clientProtocol41, ext: extendedCacheMetadata, mariaDB: true}
	mariaBoth  = dialect{name: "MariaDB without EOF, cached metadata", caps: clientProtocol41 | clientDeprecateEOF, ext: extendedCacheMetadata | extendedProgress, mariaDB: true}

	dialects = []dialect{classic, deprecated, maria, mariaCache, mariaBoth}
)

func (d dialect) eof() bool { return d.caps&clientDeprecateEOF == 0 }

func (d dialect) greeting() string {
	version := "9.7.4"
	if d.mariaDB {
		version = "5.5.5-10.11.19-MariaDB"
	}
	return string(mysqltest.GreetingPayload(mysqltest.GreetingOptions{
		Version: version, ThreadID: 77, Capabilities: uint32(d.caps | clientSSL), MariaDB: uint32(d.ext),
	}))
}

// login is a HandshakeResponse41; with ssl, the SSLRequest, which is its head.
func login(c capabilities, x extended, ssl bool) string {
	if ssl {
		c |= clientSSL
	}
	b := make([]byte, 32)
	for i := range 4 {
		b[i] = byte(c >> (8 * i))
		b[28+i] = byte(x >> (8 * i))
	}
	if ssl {
		return string(b)
	}
	return string(b) + "user\x00\x00"
}

// loggedIn returns a tracker whose login is over.
func (d dialect) loggedIn(tb testing.TB) *Tracker {
	tb.Helper()
	t := &Tracker{}
	play(tb, t,
		server(0, d.greeting(), KindGreeting, PhaseLogin),
		client(1, login(d.caps, d.ext, false), KindLogin, PhaseAuth),
		server(2, okay(0), KindOK, PhaseReady).done(),
	)
	if t.caps != d.caps || t.ext != d.ext {
		tb.Fatalf("capabilities %b, %b; want %b, %b", t.caps, t.ext, d.caps, d.ext)
	}
	return t
}

// Payloads.

func okay(status uint16) string { return string(mysqltest.OKPayload(0, 0, status, 0)) }

func eof(status uint16) string { return string(mysqltest.EOFPayload(0, status)) }

// rowsEnd ends rows.
func (d dialect) rowsEnd(status uint16) (string, Kind) {
	if d.eof() {
		return eof(status), KindEOF
	}
	return string(mysqltest.ResultEndPayload(status, 0)), KindOK
}

func errPacket(code uint16) string { return string(mysqltest.ERRPayload(code, "HY000", "words")) }

const (
	row       = "\x011"
	binaryRow = "\x00\x00\x011"
)

var column = string(mysqltest.ColumnPayload(mysqltest.Column{Name: "c"}))

// head is the packet in front of n column definitions that follow.
func (d dialect) head(n int) string {
	b := mysqltest.AppendLenEncInt(nil, uint64(n))
	if d.ext&extendedCacheMetadata != 0 {
		b = append(b, 1)
	}
	return string(b)
}

// columns are a head and its definitions, from id seq on; the id after them is
// returned too.
func (d dialect) columns(seq, n int) ([]line, int) {
	out := []line{server(seq, d.head(n), KindColumnCount, PhaseColumns)}
	for i := range n {
		seq++
		after := PhaseColumns
		if i == n-1 && !d.eof() {
			after = PhaseRows
		}
		out = append(out, server(seq, column, KindColumn, after))
	}
	seq++
	if d.eof() {
		out = append(out, server(seq, eof(0), KindEOF, PhaseRows))
		seq++
	}
	return out, seq
}

// result is a whole result set with n rows that ends with status.
func (d dialect) result(seq, columns, rows int, status uint16) ([]line, int) {
	out, seq := d.columns(seq, columns)
	for range rows {
		out = append(out, server(seq, row, KindRow, PhaseRows))
		seq++
	}
	p, k := d.rowsEnd(status)
	end := server(seq, p, k, PhaseReady).done()
	if status&statusMoreResultsExists != 0 {
		end = server(seq, p, k, PhaseMoreResults)
	}
	return append(out, end), seq + 1
}

// binaryResult is the same as the answer to COM_STMT_EXECUTE.
func (d dialect) binaryResult(seq, columns, rows int, status uint16) ([]line, int) {
	out, next := d.result(seq, columns, rows, status)
	for i := range out {
		if out[i].kind == KindRow {
			out[i].payload = binaryRow
		}
	}
	return out, next
}

func join(parts ...any) []line {
	var out []line
	for _, p := range parts {
		switch p := p.(type) {
		case line:
			out = append(out, p)
		case []line:
			out = append(out, p...)
		}
	}
	return out
}

// idle checks that nothing is outstanding.
func idle(tb testing.TB, t *Tracker) {
	tb.Helper()
	if t.Phase() != PhaseReady || t.Pending() != 0 || t.Lost() != 0 {
		tb.Fatalf("phase %s, %d pending, lost %d times", t.Phase(), t.Pending(), t.Lost())
	}
}
