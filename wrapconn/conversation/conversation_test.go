package conversation

import (
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

// login are a greeting, a login of DefaultCapabilities and more, and its OK.
func login(more []byte, caps uint32) []segment {
	caps |= uint32(mysqltest.DefaultCapabilities)
	head := make([]byte, 32)
	for i := range 4 {
		head[i] = byte(caps >> (8 * i))
	}
	return []segment{
		fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{})),
		fromClient(1, append(head, more...)),
		fromServer(2, mysqltest.OKPayload(0, 0, 2, 0)),
	}
}

func plainLogin() []segment { return login([]byte("user\x00\x00"), 0) }

func selectOne() []segment {
	return []segment{
		fromClient(0, []byte("\x03SELECT 1")),
		fromServer(1, []byte{1}, mysqltest.ColumnPayload(mysqltest.Column{Name: "1", Type: mysqltest.TypeLongLong}),
			mysqltest.TextRowPayload(1), mysqltest.ResultEndPayload(2, 0)),
	}
}

// pass tells c the segments, a millisecond apart, in pieces of at most cut bytes
// (0: whole), and returns the time behind them.
func pass(c *Conversation, segments []segment, from time.Duration, cut int) time.Duration {
	for _, s := range segments {
		for b := s.bytes; len(b) > 0; {
			n := len(b)
			if cut > 0 {
				n = min(n, cut)
			}
			from += time.Millisecond
			c.Bytes(s.dir, b[:n], from)
			b = b[n:]
		}
	}
	return from
}

// A lawful conversation is followed to its end, and nothing is found.
func TestLawful(t *testing.T) {
	c := New(Config{})
	now := pass(c, append(plainLogin(), selectOne()...), 0, 0)
	if !c.Idle() || c.Found() {
		t.Fatalf("%s, %+v", c.Phase(), c.Take())
	}
	c.End(session.FromServer, cause.StreamEOF, nil, now)
	if c.Found() {
		t.Errorf("an idle server hung up: %+v", c.Take())
	}
	if s := c.State(); s.Commands != 1 || s.Phase != session.PhaseClosed || s.LastByte != now || s.Counts != (Counts{}) {
		t.Errorf("%+v", s)
	}
}
