package conversation

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// bigAnswer is a result with a long row.
func bigAnswer() []segment {
	return []segment{query("SELECT blob"), fromServer(1, []byte{1}, column, mysqltest.TextRowPayload(strings.Repeat("x", 5000)), mysqltest.ResultEndPayload(2, 0))}
}

// Whatever is lost, nothing is made up, and the next command is followed again.
func TestGapAnywhere(t *testing.T) {
	lossy := join(selectOne(), bigAnswer(), prepared())
	last := join(selectOne(), bigAnswer())
	ref := newWatch(another())
	ref.say(join(plainLogin(), last)...)
	want := strings.TrimPrefix(ref.list(false), func() string { r := newWatch(another()); r.say(plainLogin()...); return r.list(false) }())

	for i, s := range lossy {
		for from := 0; from < len(s.bytes); from += 1 + len(s.bytes)/40 {
			for _, n := range []int{1, 4, 9, 700, len(s.bytes)} {
				to := min(from+n, len(s.bytes))
				w := newWatch(another())
				w.say(plainLogin()...)
				w.say(lossy[:i]...)
				w.say(segment{s.dir, s.bytes[:from]})
				w.Gap(s.dir, int64(to-from), w.now)
				w.say(segment{s.dir, s.bytes[to:]})
				w.say(lossy[i+1:]...)
				w.say(last...)
				fine(t, w.Conversation)
				st := w.State()
				if !w.Idle() || st.Gaps != 1 || st.Lost != uint64(to-from) {
					t.Fatalf("segment %d, lost %d to %d: %s, %d gaps of %d bytes", i, from, to, st.Phase, st.Gaps, st.Lost)
				}
				if got := w.list(false); !strings.HasSuffix(got, want) {
					t.Fatalf("segment %d, lost %d to %d:\n%swant at the end\n%s", i, from, to, got, want)
				}
			}
		}
	}
}

// What a client that sends commands ahead is answered behind a gap may begin in
// the middle of a packet. Whatever is lost, all that is listed was there, in this
// order.
func TestGapWhereCommandsAreSentAhead(t *testing.T) {
	ahead := Config{Client: another().Client, Vantage: another().Vantage, Pipelining: true}
	long := mysqltest.TextRowPayload(strings.Repeat("\x05\x00\x00\x01\x00", 300))
	question := query("SELECT long")
	answer := fromServer(1, []byte{1}, column, long, mysqltest.ResultEndPayload(2, 0))
	for name, login := range map[string][]segment{"plain": plainLogin(), "stored": compressedLogin(), "deflated": compressedLogin()} {
		q, a := question, answer
		if name != "plain" {
			q, a = frame(0, question, false), frame(1, answer, name == "deflated")
		}
		q.bytes, a.bytes = bytes.Repeat(q.bytes, 4), bytes.Repeat(a.bytes, 4)
		for _, size := range []int{64, 600, 1448} {
			// The second batch goes out while the first one is being answered.
			first := cutInto(a, size)
			all := join([]segment{q, first[0], q}, first[1:], cutInto(a, size), []segment{q}, cutInto(a, size))
			whole := newWatch(ahead)
			whole.say(join(login, all)...)
			fine(t, whole.Conversation)
			for i := range all {
				for j := i; j < min(i+3, len(all)); j++ {
					nothingMadeUp(t, fmt.Sprintf("%s, segments of %d", name, size), whole, newWatch(ahead), login, all, i, j)
				}
			}
		}
	}
}

// The same of a client that waits for its answers, but leaves in the middle of
// the last one: also a lost answer is no reason to take the next command for one
// that came too early.
func TestGapsAnywhere(t *testing.T) {
	for name, login := range map[string][]segment{"plain": plainLogin(), "stored": compressedLogin(), "deflated": compressedLogin()} {
		exchanges, quit := join(selectOne(), bigAnswer(), selectOne(), bigAnswer(), bigAnswer()), []segment{fromClient(0, []byte{1})}
		if name != "plain" { // the answer is then in one frame, and has not begun
			exchanges, quit = framed(name == "deflated", exchanges), nil
		}
		for _, size := range []int{64, 600, 1448} {
			var all []segment
			for _, s := range exchanges {
				all = append(all, cutInto(s, size)...)
			}
			all = join(all[:len(all)-2], quit, all[len(all)-2:])
			whole := newWatch(another())
			whole.say(join(login, all)...)
			fine(t, whole.Conversation)
			for i := range all {
				for j := i; j < len(all); j += 1 + len(all)/12 {
					nothingMadeUp(t, fmt.Sprintf("%s, segments of %d", name, size), whole, newWatch(another()), login, all, i, j, j+1)
				}
			}
		}
	}
}

// nothingMadeUp tells w all but the lost segments. Nothing may be found, and each
// packet that is listed must be one of whole's, in this order.
func nothingMadeUp(t *testing.T, name string, whole, w *watch, login, all []segment, lost ...int) {
	t.Helper()
	w.say(login...)
	for k, s := range all {
		if slices.Contains(lost, k) {
			w.Gap(s.dir, int64(len(s.bytes)), w.now)
		} else {
			w.say(s)
		}
	}
	fine(t, w.Conversation)
	for _, dir := range []session.Direction{session.FromServer, session.FromClient} {
		if p, ok := within(w.packets, whole.packets, dir); !ok {
			t.Fatalf("%s, %v lost: %s %s, %d bytes was not there", name, lost, p.Direction, p.IDs(), p.Bytes)
		}
	}
}

// within reports whether the packets of one side are some of all, in this order,
// and else the first that is not.
func within(some, all []Packet, dir session.Direction) (Packet, bool) {
	for _, p := range some {
		if p.Direction != dir {
			continue
		}
		i := slices.IndexFunc(all, func(q Packet) bool {
			return q.Direction == dir && q.Bytes == p.Bytes && q.IDs() == p.IDs()
		})
		if i < 0 {
			return p, false
		}
		all = all[i+1:]
	}
	return Packet{}, true
}

// The end of the login is lost: what was agreed on is known all the same, and the
// body of a frame, which Connector/J writes apart from its head, is no packet.
func TestGapBeforeCompression(t *testing.T) {
	login := compressedLogin()
	f := frame(0, query("SET a"), false)
	w := newWatch(another())
	w.say(login[:2]...)
	w.Gap(session.FromServer, int64(len(login[2].bytes)), w.now)
	w.say(segment{f.dir, f.bytes[frameHeaderLen:]})
	if n := len(w.packets); n != 2 {
		t.Fatalf("%d packets behind a lost head:\n%s", n, w.list(false))
	}
	w.say(segment{f.dir, f.bytes[:frameHeaderLen]}, segment{f.dir, f.bytes[frameHeaderLen:]}, frame(1, fromServer(1, mysqltest.OKPayload(0, 0, 2, 0)), false))
	fine(t, w.Conversation)
	if s := w.State(); !s.Compressed || s.Commands != 1 || !w.Idle() || len(w.packets) != 4 {
		t.Errorf("%+v\n%s", s, w.list(false))
	}
	// A head that another body was lost behind does not go with the next one.
	w.say(segment{f.dir, f.bytes[:frameHeaderLen]})
	w.Gap(session.FromClient, int64(len(f.bytes)-frameHeaderLen), w.now)
	w.say(framed(true, selectOne())...)
	fine(t, w.Conversation)
}

// Behind a gap, what cannot be inflated may be the middle of a frame.
func TestGapBeforeCorruptFrame(t *testing.T) {
	w := newWatch(another())
	w.say(compressedLogin()...)
	w.Gap(session.FromServer, 700, w.now)
	broken := frame(0, query("SET a long one, so that something is left to break"), true)
	broken.bytes[len(broken.bytes)-1] ^= 1 // its checksum
	w.say(broken)
	w.say(framed(true, selectOne())...)
	fine(t, w.Conversation)
	if s := w.State(); s.Phase != session.PhaseReady || !w.Idle() {
		t.Errorf("%+v", s)
	}
}

// cutInto cuts a segment into those of size.
func cutInto(s segment, size int) (all []segment) {
	for b := s.bytes; len(b) > 0; {
		n := min(len(b), size)
		all = append(all, segment{s.dir, b[:n]})
		b = b[n:]
	}
	return all
}

// Lost bytes that would not have been looked at lose nothing.
func TestGapInPayload(t *testing.T) {
	all := join(plainLogin(), bigAnswer())
	whole := newWatch(another())
	whole.say(all...)
	w := newWatch(another())
	answer := all[len(all)-1]
	w.say(all[:len(all)-1]...)
	w.say(segment{answer.dir, answer.bytes[:1000]})
	w.Gap(answer.dir, 3000, w.now)
	w.say(segment{answer.dir, answer.bytes[4000:]})
	fine(t, w.Conversation)
	if w.list(false) != whole.list(false) || inside(w.Conversation) != inside(whole.Conversation) {
		t.Errorf("with a gap:\n%swithout:\n%s", w.list(false), whole.list(false))
	}
}

// Nothing can be seen of TLS behind a gap, and nothing is made up.
func TestGapInTLS(t *testing.T) {
	for name, version := range versions {
		all, keyLog := overTLS(t, version)
		for i, s := range all[2:] {
			for _, known := range []bool{true, false} {
				w := newWatch(late())
				if known {
					w.Secrets(keyLog, 0)
				}
				w.say(all[:2+i]...)
				w.Gap(s.dir, int64(len(s.bytes)), w.now)
				w.say(all[3+i:]...)
				w.Secrets(keyLog, w.now)
				st := w.State()
				if w.Found() || st.Counts.Opaque != 1 || st.Counts.Panics != 0 || st.Phase != session.PhaseOpaque || st.Held != 0 {
					t.Fatalf("%s, segment %d, secrets known %v: %+v", name, i, known, st)
				}
			}
		}
	}
}

// A conversation whose beginning was not seen, from any segment on: with and
// without EOF packets, which nobody tells.
func TestMiddle(t *testing.T) {
	eof := mysqltest.EOFPayload(0, 2)
	deprecated := join(selectOne(), prepared(), selectOne())
	with := join(classic(), prepared(eof), classic())
	noColumns := []segment{fromClient(0, []byte("\x16DO 1")), fromServer(1, []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})}
	params := fromServer(1, []byte{0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, column)
	for name, all := range map[string][]segment{
		"deprecated": deprecated, "classic": with,
		"prepare first, deprecated": join(prepared(), deprecated), "prepare first, classic": join(prepared(eof), with),
		"nothing to learn":      join(noColumns, noColumns, selectOne()),
		"a command shows it":    join([]segment{noColumns[0], params}, selectOne()),
		"a failure":             {query("nonsense"), fromServer(1, mysqltest.ERRPayload(1064, "42000", "no")), query("DO 1"), fromServer(1, mysqltest.OKPayload(0, 0, 2, 0))},
		"the end of an upload":  join([]segment{fromClient(3, []byte("a,b"), nil), fromServer(5, mysqltest.OKPayload(1, 0, 2, 0))}, selectOne()),
		"the end of the login":  join(plainLogin()[1:], selectOne()),
		"the end of the login2": join(plainLogin()[2:], classic()),
	} {
		t.Run(name, func(t *testing.T) {
			for at := range all {
				if len(all)-at < 2 {
					break
				}
				for _, cut := range []int{0, 3} { // in the middle of a packet, too
					w := newWatch(another())
					w.Middle(0)
					first := all[at]
					if cut > 0 && len(first.bytes) > cut {
						if first.dir == session.FromClient {
							continue // then it is a gap
						}
						first.bytes = first.bytes[cut:]
					}
					w.say(first)
					w.say(all[at+1:]...)
					fine(t, w.Conversation)
					if s := w.State(); !w.Idle() || s.Phase != session.PhaseReady && s.Phase != session.PhaseUntracked || s.Commands == 0 && at < len(all)-2 {
						t.Fatalf("from segment %d: %+v\n%s", at, s, w.list(false))
					}
				}
			}
		})
	}
}

// TLS from before the beginning is opaque.
func TestMiddleOfTLS(t *testing.T) {
	all, keyLog := overTLS(t, tls.VersionTLS13)
	for at := 3; at < len(all)-1; at++ {
		w := newWatch(late())
		w.Secrets(keyLog, 0)
		w.Middle(0)
		w.say(all[at:]...)
		if s := w.State(); w.Found() || s.Counts.Panics != 0 || s.Phase != session.PhaseOpaque && s.Phase != session.PhaseUntracked || s.Commands != 0 {
			t.Errorf("from segment %d: %+v", at, s)
		}
	}
}

// An end is no violation where it is not known what was due.
func TestEndBehindGap(t *testing.T) {
	answer := selectOne()[1]
	for _, pipelining := range []bool{false, true} {
		for _, dir := range []session.Direction{session.FromServer, session.FromClient} {
			for _, rest := range [][]byte{answer.bytes[20:], {9, 0, 0}, {200, 0, 0, 7, 1}} {
				cfg := another()
				cfg.Pipelining = pipelining
				w := newWatch(cfg)
				w.say(join(plainLogin(), []segment{query("SELECT 1"), {answer.dir, answer.bytes[:7]}})...)
				w.Gap(session.FromServer, 13, w.now)
				w.say(segment{answer.dir, rest})
				w.End(dir, cause.StreamEOF, nil, w.now)
				w.End(1-dir, cause.StreamEOF, nil, w.now)
				fine(t, w.Conversation)
			}
		}
	}
	// Compressed, the end of a frame may be missing.
	w := newWatch(another())
	w.say(compressedLogin()...)
	f := framed(false, selectOne())
	w.say(f[0], segment{f[1].dir, f[1].bytes[:9]})
	w.Gap(session.FromServer, 5, w.now)
	w.say(segment{f[1].dir, f[1].bytes[14:]})
	w.End(session.FromServer, cause.StreamEOF, nil, w.now)
	fine(t, w.Conversation)
}

// go-mysql closes a statement and sends the next command in one segment, each in a
// frame of its own: the conversation goes on there behind a loss.
func TestCompressedGapBeforeTwoCommands(t *testing.T) {
	closing := frame(0, fromClient(0, []byte("\x19\x01\x00\x00\x00")), false)
	for _, deflated := range []bool{false, true} {
		said := framed(deflated, selectOne())
		w := newWatch(another())
		w.say(compressedLogin()...)
		w.say(said[0])
		w.Gap(session.FromServer, int64(len(said[1].bytes)), w.now)
		w.say(segment{session.FromClient, append(bytes.Clone(closing.bytes), said[0].bytes...)}, said[1])
		fine(t, w.Conversation)
		if s := w.State(); s.Commands != 3 || !w.Idle() {
			t.Errorf("deflated %v: %+v", deflated, s)
		}
	}
}
