package conversation

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// segment is bytes of one side.
type segment struct {
	dir   session.Direction
	bytes []byte
}

func fromServer(seq byte, payloads ...[]byte) segment {
	return segment{session.FromServer, packetsOf(seq, payloads)}
}

func fromClient(seq byte, payloads ...[]byte) segment {
	return segment{session.FromClient, packetsOf(seq, payloads)}
}

func packetsOf(seq byte, payloads [][]byte) []byte {
	var b []byte
	for _, p := range payloads {
		b = append(b, mysqltest.Packet(seq, p)...)
		seq += 1 + byte(len(p)/mysqltest.MaxPacket)
	}
	return b
}

// loginPayload is a login of DefaultCapabilities, without those in not.
func loginPayload(not uint32, more string) []byte {
	caps := uint32(mysqltest.DefaultCapabilities) &^ not
	head := make([]byte, 32)
	for i := range 4 {
		head[i] = byte(caps >> (8 * i))
	}
	return append(head, more...)
}

// loginOf is a greeting, a login without the capabilities not, and its OK.
func loginOf(not uint32) []segment {
	return []segment{
		fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{})),
		fromClient(1, loginPayload(not, "user\x00\x00")),
		fromServer(2, mysqltest.OKPayload(0, 0, 2, 0)),
	}
}

func plainLogin() []segment { return loginOf(0) }

var column = mysqltest.ColumnPayload(mysqltest.Column{Name: "1", Type: mysqltest.TypeLongLong})

func query(sql string) segment { return fromClient(0, []byte("\x03"+sql)) }

func selectOne() []segment {
	return []segment{
		query("SELECT 1"),
		fromServer(1, []byte{1}, column, mysqltest.TextRowPayload(1), mysqltest.ResultEndPayload(2, 0)),
	}
}

// classic is a result with EOF packets.
func classic() []segment {
	eof := mysqltest.EOFPayload(0, 2)
	return []segment{query("SELECT 1"), fromServer(1, []byte{1}, column, eof, mysqltest.TextRowPayload(1), eof)}
}

// prepared is a statement that is prepared, with both kinds of definitions,
// executed and closed. eof are the packets behind a block of definitions.
func prepared(eof ...[]byte) []segment {
	answer := [][]byte{{0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0}, column}
	answer = append(append(append(answer, eof...), column), eof...)
	rows := append(append([][]byte{{1}, column}, eof...), []byte{0, 0, 1, '1'})
	if len(eof) > 0 {
		rows = append(rows, eof[0])
	} else {
		rows = append(rows, mysqltest.ResultEndPayload(2, 0))
	}
	return []segment{
		fromClient(0, []byte("\x16SELECT ?")), fromServer(1, answer...),
		fromClient(0, []byte("\x17\x01\x00\x00\x00")), fromServer(1, rows...),
		fromClient(0, []byte("\x19\x01\x00\x00\x00")),
	}
}

func join(parts ...[]segment) (all []segment) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// watch is a conversation and the packets that it told.
type watch struct {
	*Conversation
	packets []Packet
	now     time.Duration
}

var epoch = time.Unix(1_000_000, 0)

func newWatch(cfg Config) *watch {
	w := &watch{}
	cfg.Start = epoch
	cfg.OnPacket = func(p Packet) { w.packets = append(w.packets, p) }
	w.Conversation = New(cfg)
	return w
}

// say tells the segments, a millisecond apart.
func (w *watch) say(segments ...segment) {
	for _, s := range segments {
		w.now += time.Millisecond
		w.Bytes(s.dir, s.bytes, w.now)
	}
}

// list is the packets as text, with their times if timed is set.
func (w *watch) list(timed bool) string {
	var b strings.Builder
	for _, p := range w.packets {
		fmt.Fprintf(&b, "%s %s %s %s %d %d", p.Direction, p.Label(), p.IDs(), p.Kind, p.Bytes, p.ErrorCode)
		if p.Violation != session.None {
			fmt.Fprintf(&b, " (%s)", p.Violation)
		}
		if timed {
			fmt.Fprintf(&b, " %s", p.Time.Sub(epoch))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// fine checks that nothing is found, and nothing is wrong with c.
func fine(t *testing.T, c *Conversation) {
	t.Helper()
	for _, f := range c.Take() {
		t.Errorf("%s: %s, %s from the %s in %s", f.Diagnose().Slug, f.Evidence.Violation, f.Evidence.Kind, f.Evidence.Direction, f.Evidence.Phase)
	}
	if n := c.Counts(); n != (Counts{}) {
		t.Errorf("%+v: %s", n, c.State().OpaqueReason)
	}
}

// only returns the one finding that there is.
func only(t *testing.T, c *Conversation) Finding {
	t.Helper()
	f := c.Take()
	if len(f) != 1 {
		t.Fatalf("%d findings", len(f))
	}
	return f[0]
}

// inside is the state that does not depend on how bytes were cut.
func inside(c *Conversation) string {
	v := reflect.ValueOf(c).Elem()
	out := []any{v.FieldByName("tracker")}
	for _, half := range []string{"server", "client"} {
		r := v.FieldByName(half).FieldByName("frames").FieldByName("r")
		out = append(out, r.FieldByName("skip"), r.FieldByName("have"), r.FieldByName("need"))
	}
	return fmt.Sprintf("%+v", out)
}

// another is a client that is not this process.
func another() Config {
	return Config{Client: cause.Client{Address: "10.0.0.7:4711"}, Vantage: cause.VantageProxy}
}
