package conversation

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// anything tells a conversation what a sequence of bytes says: no order of calls
// and no bytes make it panic or keep much.
func anything(t *testing.T, b []byte) {
	const hold = 4 << 10
	cfg := another()
	cfg.Hold = hold
	w := newWatch(cfg)
	err := errors.New("an error")
	for len(b) > 2 {
		op, n := b[0], min(int(b[1]), len(b)-2)
		p := b[2 : 2+n]
		b = b[2+n:]
		w.now += time.Millisecond
		dir := session.Direction(op >> 7)
		switch op & 0x1f {
		case 1:
			w.End(dir, cause.StreamEnd(n%5), err, w.now)
		case 2:
			w.WriteFailed(n)
		case 3:
			w.Resumed()
		case 4:
			w.Secrets(p, w.now)
		case 5:
			w.Gap(dir, int64(n)<<(op>>5&3*4), w.now)
		case 6:
			w.Middle(w.now)
		case 7:
			w.say(plainLogin()...)
		case 8:
			if w.BeforeCommand(w.now) && n > 0 {
				w.WaitingShort(p)
				w.Waiting(p, w.now)
			}
		case 9:
			w.Close()
		case 10:
			w.Malformed(err, w.now)
		case 11:
			w.LoginGivenUp(err, w.now)
		case 12:
			w.Failed(err, "broken off", 0, w.now)
		case 13:
			w.OfferSession(p)
		case 14:
			w.say(compressedLogin()...)
		case 15:
			w.EndAwaited(cause.StreamEOF, err, w.now)
		default:
			w.say(segment{dir, p})
		}
		for _, f := range w.Take() {
			if f.Diagnose().Slug == "" {
				t.Fatal("a finding without a name")
			}
		}
		if s := w.State(); s.Counts.Panics != 0 || s.Held > hold+255 || len(w.x.early) > maxEarly || s.Phase > session.PhaseOpaque {
			t.Fatalf("%+v", s)
		}
		w.Evidence(w.now)
	}
}

func TestAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 3000 {
		b := make([]byte, r.IntN(600))
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		for i := 0; i+7 < len(b); i += 2 + int(b[i+1]) { // headers that make sense
			if b[i+1] %= 40; b[i+1] > 5 && r.IntN(2) == 0 {
				b[i+2], b[i+3], b[i+4], b[i+5] = b[i+1]-4, 0, 0, byte(r.IntN(3))
			}
		}
		anything(t, b)
	}
}

func FuzzAnything(f *testing.F) {
	f.Add([]byte("\x07\x00\x80\x0d\x09\x00\x00\x00\x03SELECT 1\x10\x0b\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"))
	f.Add([]byte("\x0e\x00\x06\x00\x80\x0d\x09\x00\x00\x00\x03SELECT 1\x05\x07abcdefg\x01\x01a"))
	f.Fuzz(anything)
}
