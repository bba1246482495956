package conversation

import (
	"bytes"
	"compress/zlib"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// frame is a segment inside a frame of the compressed protocol.
func frame(seq byte, s segment, deflated bool) segment {
	body, inflated := s.bytes, 0
	if deflated {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		_, _ = z.Write(s.bytes)
		_ = z.Close()
		body, inflated = b.Bytes(), len(s.bytes)
	}
	head := []byte{byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16), seq, byte(inflated), byte(inflated >> 8), byte(inflated >> 16)}
	return segment{s.dir, append(head, body...)}
}

func framed(deflated bool, exchange []segment) (out []segment) {
	for _, s := range exchange {
		seq := byte(0)
		if s.dir == session.FromServer {
			seq = 1
		}
		out = append(out, frame(seq, s, deflated))
	}
	return out
}

func compressedLogin() []segment {
	const caps = mysqltest.DefaultCapabilities | mysqltest.CapCompress
	login := loginPayload(0, "user\x00\x00")
	login[0] |= mysqltest.CapCompress
	return []segment{
		fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{Capabilities: caps})),
		fromClient(1, login),
		fromServer(2, mysqltest.OKPayload(0, 0, 2, 0)),
	}
}

// Compressed conversations: from the beginning, with a part lost, and from the
// middle on.
func TestCompressed(t *testing.T) {
	for _, deflated := range []bool{false, true} {
		exchanges := join(framed(deflated, selectOne()), framed(deflated, bigAnswer()), framed(deflated, selectOne()))
		last := join(framed(deflated, selectOne()), framed(deflated, bigAnswer()))
		w := newWatch(another())
		w.say(join(compressedLogin(), exchanges)...)
		fine(t, w.Conversation)
		if s := w.State(); s.Commands != 3 || !s.Compressed || !w.Idle() {
			t.Fatalf("%+v", s)
		}
		for i, s := range exchanges {
			for from := 0; from < len(s.bytes); from += 1 + len(s.bytes)/40 {
				w := newWatch(another())
				w.say(compressedLogin()...)
				w.say(exchanges[:i]...)
				w.say(segment{s.dir, s.bytes[:from]})
				w.Gap(s.dir, int64(min(9, len(s.bytes)-from)), w.now)
				w.say(segment{s.dir, s.bytes[min(from+9, len(s.bytes)):]})
				w.say(exchanges[i+1:]...)
				before := w.State().Commands
				w.say(last...)
				fine(t, w.Conversation)
				if s := w.State(); s.Commands != before+2 || !w.Idle() {
					t.Fatalf("deflated %v, segment %d, lost from %d: %+v", deflated, i, from, s)
				}
			}
		}
		for at := range exchanges {
			w := newWatch(another())
			w.Middle(0)
			w.say(exchanges[at:]...)
			w.say(last...)
			fine(t, w.Conversation)
			if s := w.State(); !s.Compressed || s.Commands < 2 || !w.Idle() {
				t.Errorf("deflated %v, from segment %d: %+v", deflated, at, s)
			}
		}
	}
}
