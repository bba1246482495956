package conversation

import (
	"bytes"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// cloning is a clone as MySQL 9.7 was seen to make it: all packets have the
// number 0, those of the client look like commands, and behind it comes
// COM_RESET_CONNECTION.
func cloning() []segment {
	ok := mysqltest.OKPayload(0, 0, 2, 0)
	return []segment{
		fromClient(0, []byte{0x20}), fromServer(1, ok),
		fromClient(0, []byte("\x01\x01\x01\x00\x00\xff\xff")), fromServer(0, []byte("\x07clone")), fromServer(0, []byte("\x02data")), fromServer(0, []byte{0x63}),
		fromClient(0, []byte("\x04")), fromServer(0, []byte("\x04data")), fromServer(0, []byte{0x63}),
		fromClient(0, []byte{6}), fromServer(0, []byte{0x63}),
		fromClient(0, []byte{0x1f}), fromServer(1, ok),
	}
}

// A clone is followed, compressed as well: its frames have the number 0, too.
func TestClone(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		w := newWatch(another())
		exchange, login := join(cloning(), selectOne()), plainLogin()
		if compressed {
			login = compressedLogin()
			for i, s := range exchange {
				exchange[i] = frame(s.bytes[3], s, i%2 == 0)
			}
		}
		w.say(join(login, exchange)...)
		fine(t, w.Conversation)
		if s := w.State(); s.Commands != 3 || !w.Idle() || s.Compressed != compressed {
			t.Errorf("compressed %t: %+v", compressed, s)
		}
	}
}

// Behind a gap, what passes in a clone is not taken for commands and their answers.
func TestCloneWithAGap(t *testing.T) {
	exchange := cloning()
	for i := 2; i < len(exchange); i++ {
		w := newWatch(another())
		w.say(join(plainLogin(), exchange[:i])...)
		w.Gap(exchange[i].dir, int64(len(exchange[i].bytes)), w.now)
		w.say(join(exchange[i+1:], selectOne())...)
		if found := w.Take(); len(found) > 0 {
			t.Errorf("segment %d is lost: %s: %+v", i, found[0].Diagnose().Slug, found[0].Evidence)
		}
		if p := w.Phase(); i < len(exchange)-1 && p != session.PhaseUntracked {
			t.Errorf("segment %d is lost: it goes on in phase %s", i, p)
		}
	}
}

// A packet of a clone may be in several frames, of which the second has the number
// of an answer.
func TestCompressedCloneWithAGap(t *testing.T) {
	exchange := cloning()
	for i := range exchange {
		exchange[i] = frame(exchange[i].bytes[3], exchange[i], i%2 == 0)
	}
	for i := 2; i < len(exchange)-1; i++ {
		w := newWatch(another())
		w.say(join(compressedLogin(), exchange[:i])...)
		w.Gap(exchange[i].dir, int64(len(exchange[i].bytes)), w.now)
		listed := len(w.packets)
		w.say(frame(0, fromClient(0, []byte{5}), false), frame(1, fromServer(1, bytes.Repeat([]byte{7}, 3000)), true))
		if len(w.packets) != listed {
			t.Errorf("segment %d is lost: %s", i, w.list(false))
		}
		if found := w.Take(); len(found) > 0 {
			t.Errorf("segment %d is lost: %s", i, found[0].Diagnose().Slug)
		}
	}
}

// A replica that acknowledges, compressed: MySQL 9.7's frames begin at 0 behind
// an acknowledgement, while some may still be numbered on.
func TestAcknowledgementsCompressed(t *testing.T) {
	event, ack := []byte("\x00\xef\x01an event"), []byte("\xef12345678binlog.000001")
	w := newWatch(another())
	w.say(compressedLogin()...)
	for i, s := range []struct {
		outer byte
		segment
	}{
		{0, fromClient(0, []byte("\x1e\x00\x00"))}, {1, fromServer(1, event)}, {2, fromServer(2, event)}, {0, fromClient(0, ack)},
		{3, fromServer(3, event)}, {0, fromServer(1, event)}, {0, fromClient(0, ack)}, {0, fromServer(1, event)}, {1, fromServer(2, event)},
	} {
		w.say(frame(s.outer, s.segment, i%2 == 0))
		fine(t, w.Conversation)
	}
	if p := w.Phase(); p != session.PhaseEvents {
		t.Errorf("in phase %s", p)
	}
}
