package conversation

import (
	"bytes"
	"compress/zlib"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
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

// A command of more than one frame: the answer counts on from the last of them. One
// that is sent ahead in such frames leaves the count of the answer before it alone.
func TestCompressedLongCommand(t *testing.T) {
	long := fromClient(0, append([]byte{0x03}, bytes.Repeat([]byte("x"), 3000)...))
	frames := func() (out []segment) {
		for i := range 3 {
			out = append(out, frame(byte(i), segment{long.dir, long.bytes[i*1000 : min((i+1)*1000, len(long.bytes))]}, false))
		}
		rest := long.bytes[3000:]
		out[2].bytes = frame(2, segment{long.dir, append(bytes.Clone(long.bytes[2000:3000]), rest...)}, false).bytes
		return out
	}
	ok := func(seq byte) segment { return frame(seq, fromServer(seq, mysqltest.OKPayload(0, 0, 2, 0)), false) }
	w := newWatch(another())
	w.say(compressedLogin()...)
	w.say(frames()...)
	w.say(ok(3))
	fine(t, w.Conversation)
	if s := w.State(); s.Commands != 1 || !w.Idle() {
		t.Fatalf("%+v", s)
	}
	w.say(frames()...)
	w.say(ok(4))
	f := w.Take()
	if len(f) != 1 || f[0].Evidence.Expected != 3 || f[0].Evidence.Actual != 4 {
		t.Errorf("%+v", f)
	}
}

// Behind lost bytes of a client that pipelines, which answers are due is not
// known, and neither is what the frames' numbers must be.
func TestCompressedGapWhilePipelining(t *testing.T) {
	login := compressedLogin()
	w := newWatch(Config{Client: another().Client, Vantage: another().Vantage, Pipelining: true})
	w.say(login...)
	ok := fromServer(1, mysqltest.OKPayload(0, 0, 2, 0))
	w.say(frame(0, query("SET a"), false), frame(0, query("SET b"), false))
	w.Gap(session.FromServer, 18, w.now)
	w.say(frame(0, query("SET c"), false))
	for _, seq := range []byte{1, 1, 4, 1, 9} {
		w.say(frame(seq, ok, false))
	}
	fine(t, w.Conversation)
}

// Connector/J writes a frame's head by itself, before the answer to the command
// before has come, and the command behind that answer.
func TestCompressedHeadSentAhead(t *testing.T) {
	first, second := frame(0, query("SET a"), false), frame(0, query("SELECT b"), false)
	ok := frame(1, fromServer(1, mysqltest.OKPayload(0, 0, 2, 0)), false)
	for cut := 1; cut < len(second.bytes); cut++ {
		w := newWatch(Config{Client: another().Client, Vantage: another().Vantage, Pipelining: true})
		w.say(compressedLogin()...)
		for range 2 {
			w.say(first, segment{second.dir, second.bytes[:cut]}, ok, segment{second.dir, second.bytes[cut:]}, ok)
		}
		fine(t, w.Conversation)
		if s := w.State(); s.Commands != 4 || !w.Idle() {
			t.Fatalf("cut at %d: %+v", cut, s)
		}
	}
	// The number of an answer that is wrong is told as before.
	w := newWatch(another())
	w.say(compressedLogin()...)
	w.say(first, frame(4, fromServer(1, mysqltest.OKPayload(0, 0, 2, 0)), false))
	only(t, w.Conversation)
}

// Hanging up is lawful at any time: COM_QUIT in front of the answer to the command
// before it, in one piece with that, or with its head by itself.
func TestCompressedQuitBeforeAnswer(t *testing.T) {
	for _, deflated := range []bool{false, true} {
		for _, exchange := range [][]segment{selectOne(), bigAnswer(), prepared()[:2], prepared()[:4]} {
			said := framed(deflated, exchange)
			last := len(said) - 2 // the last command and its answer
			quit := frame(0, fromClient(0, []byte{1}), deflated)
			for cut := 0; cut <= len(quit.bytes); cut++ {
				w := newWatch(another())
				w.say(join(compressedLogin(), said[:last+1])...)
				w.say(segment{quit.dir, quit.bytes[:cut]}, said[last+1], segment{quit.dir, quit.bytes[cut:]})
				w.End(session.FromClient, cause.StreamEOF, nil, w.now)
				w.End(session.FromServer, cause.StreamEOF, nil, w.now)
				fine(t, w.Conversation)
				if t.Failed() {
					t.Fatalf("deflated %v, %d segments, cut at %d: %s", deflated, len(said), cut, w.list(false))
				}
			}
			w := newWatch(another())
			w.say(join(compressedLogin(), said[:last])...)
			w.say(segment{quit.dir, append(bytes.Clone(said[last].bytes), quit.bytes...)}, said[last+1])
			fine(t, w.Conversation)
		}
	}
}
