package wrapconn

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// exchanges makes lawful exchanges at random.
func exchanges(r *rand.Rand) []segment {
	all := loginSegments()
	ok := mysqltest.OKPayload(0, 0, 2, 0)
	col := mysqltest.ColumnPayload(mysqltest.Column{Name: "c"})
	for range 1 + r.IntN(6) {
		switch r.IntN(7) {
		case 0:
			all = append(all, selectOne().parts...)
		case 1:
			all = append(all, fromClient(0, []byte("\x0e")), fromServer(1, ok))
		case 2: // rows, of one byte and more, some with the first bytes of other packets
			payloads := [][]byte{{1}, col}
			for range r.IntN(700) {
				row := make([]byte, 1+r.IntN(60))
				row[0] = []byte{0, 1, 5, 0xfb, 0xfc}[r.IntN(5)]
				payloads = append(payloads, row)
			}
			payloads = append(payloads, mysqltest.ResultEndPayload(2, 0))
			all = append(all, fromClient(0, []byte("\x03SELECT * FROM t")), fromServer(1, payloads...))
		case 3:
			all = append(all, fromClient(0, []byte("\x16SELECT ?")),
				fromServer(1, []byte{0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0}, col, col),
				fromClient(0, []byte("\x18\x01\x00\x00\x00\x00\x00data")), fromClient(0, []byte("\x17\x01\x00\x00\x00")),
				fromServer(1, []byte{1}, col, []byte{0, 0, 1, '1'}, mysqltest.ResultEndPayload(2, 0)), fromClient(0, []byte("\x19\x01\x00\x00\x00")))
		case 4:
			all = append(all, fromClient(0, []byte("\x03LOAD DATA")), fromServer(1, []byte("\xfbfile")))
			var file [][]byte
			for range r.IntN(300) {
				file = append(file, make([]byte, 1+r.IntN(50)))
			}
			all = append(all, fromClient(2, append(file, nil)...), fromServer(byte(3+len(file)), ok))
		case 5:
			all = append(all, fromClient(0, []byte("\x03nonsense")), fromServer(1, mysqltest.ERRPayload(1064, "42000", string(make([]byte, r.IntN(500))))))
		case 6:
			all = append(all, fromClient(0, []byte("\x03SELECT 1; DO 1")),
				fromServer(1, []byte{1}, col, []byte{1, '1'}, mysqltest.ResultEndPayload(2|mysqltest.StatusMoreResults, 0), ok))
		}
	}
	return all
}

// seen is all that a connection knows of what has passed, but the times.
func seen(c *Conn) string {
	entries, forgotten := c.talk.History()
	s := fmt.Sprintln(forgotten)
	for _, e := range entries {
		e.Time = c.start
		s += fmt.Sprintf("%s %s %s %s %d %d %d %s\n", e.Direction, e.Label(), e.IDs(), e.Command, e.Bytes, e.Count, e.ErrorCode, e.Violation)
	}
	return s + fmt.Sprintf("%+v", inside(&c.talk))
}

// inside is the state of the tracker and of the two readers.
func inside(c *conversation.Conversation) []any {
	v := reflect.ValueOf(c).Elem()
	out := []any{v.FieldByName("tracker")}
	for _, half := range []string{"server", "client"} {
		r := v.FieldByName(half).FieldByName("frames").FieldByName("r")
		out = append(out, r.FieldByName("skip"), r.FieldByName("have"), r.FieldByName("need"))
	}
	return out
}

// anySplit passes a conversation whole and in pieces.
func anySplit(t *testing.T, all []segment, cut func(int) int) {
	panics := Stats().Panics
	m := &queueConn{}
	c := New(m, Options{})
	pass(t, c, m, all, whole)
	if c.Err() != nil || !c.Idle() {
		t.Fatalf("a lawful conversation ends with %s, %v", c.talk.Phase(), c.Err())
	}
	n := &queueConn{}
	d := New(n, Options{})
	pass(t, d, n, all, cut)
	if a, b := seen(c), seen(d); a != b {
		t.Fatalf("whole:\n%s\nin pieces:\n%s", a, b)
	}
	if Stats().Panics != panics {
		t.Fatal("the guard has panicked")
	}
}

func TestAnySplit(t *testing.T) {
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 5))
		all := exchanges(r)
		most := []int{1, 3, 7, 40, 500, 5000}[r.IntN(6)]
		anySplit(t, all, func(int) int { return 1 + r.IntN(most) })
	}
}

func FuzzAnySplit(f *testing.F) {
	f.Add(uint64(1), []byte{1})
	f.Add(uint64(2), []byte{4, 1, 255})
	f.Fuzz(func(t *testing.T, seed uint64, sizes []byte) {
		i := -1
		anySplit(t, exchanges(rand.New(rand.NewPCG(seed, 5))), func(n int) int {
			if len(sizes) == 0 {
				return n
			}
			i++
			return int(sizes[i%len(sizes)])
		})
	})
}

// A long row in pieces: what continues it begins with the marks of ERR and of
// the end of rows.
func TestLongRowInPieces(t *testing.T) {
	long := make([]byte, 2*mysqltest.MaxPacket+5)
	long[0], long[mysqltest.MaxPacket], long[2*mysqltest.MaxPacket] = 0xfd, 0xff, 0xfe
	col := mysqltest.ColumnPayload(mysqltest.Column{Name: "c"})
	all := append(loginSegments(), fromClient(0, []byte("\x03SELECT")), fromServer(1, []byte{1}, col, []byte("\x011")))
	for i, p := range [][]byte{long, long[:mysqltest.MaxPacket]} { // the second one ends in an empty packet
		all = append(all, fromServer(byte(4+3*i), p))
	}
	all = append(all, fromServer(9, []byte("\x012"), []byte("\x013"), mysqltest.ResultEndPayload(2, 0)))
	r := rand.New(rand.NewPCG(1, 1))
	anySplit(t, all, func(int) int { return 1 + r.IntN(1<<17) })
}

// No bytes make the guard panic, and none makes it keep much.
func anyBytes(t *testing.T, b []byte) {
	panics := Stats().Panics
	m := &queueConn{}
	c := New(m, Options{Mode: Observe})
	if len(b) > 0 && b[0]&1 == 0 {
		pass(t, c, m, loginSegments(), whole)
	}
	buf := make([]byte, 256)
	for len(b) > 2 {
		n := min(int(b[1]), len(b)-2)
		if b[0]&2 == 0 {
			_, _ = c.Write(b[2 : 2+n])
		} else {
			m.queue = append(m.queue, b[2:2+n])
			for len(m.queue) > 0 {
				_, _ = c.Read(buf)
			}
		}
		b = b[2+n:]
	}
	_, _ = c.Read(buf) // io.EOF
	if r := c.Err(); r != nil && (r.Timeline() == "" && len(r.History) > 0 || (&ProtocolError{Report: r}).Error() == "" || r.String() == "") {
		t.Fatal("a report that says nothing")
	}
	if Stats().Panics != panics {
		t.Fatal("the guard has panicked")
	}
	if c.talk.Phase() > session.PhaseOpaque || c.talk.State().Pending < 0 {
		t.Fatalf("phase %d, %d pending", c.talk.Phase(), c.talk.State().Pending)
	}
}

func TestAnyBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 3000 {
		b := make([]byte, r.IntN(300))
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		if r.IntN(2) == 0 { // headers that make sense
			for i := 2; i+6 < len(b); i += 2 + int(b[i-1]) {
				b[i], b[i+1], b[i+2], b[i+3] = byte(r.IntN(40)), 0, 0, byte(r.IntN(3))
			}
		}
		anyBytes(t, b)
	}
}

func FuzzAnyBytes(f *testing.F) {
	f.Add([]byte("\x00\x0d\x09\x00\x00\x00\x03SELECT 1\x02\x0b\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"))
	f.Fuzz(anyBytes)
}
