package wrapconn

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// tape is an inner connection that does what a random sequence says: short
// reads and writes, errors, errors beside bytes.
type tape struct {
	queueConn
	r    *rand.Rand
	data []byte // to be read
}

var tapeErrors = []error{io.EOF, io.ErrUnexpectedEOF, os.ErrDeadlineExceeded, net.ErrClosed, errors.New("strange")}

func (t *tape) Read(p []byte) (int, error) {
	n := copy(p, t.data[:min(len(t.data), 1+t.r.IntN(200))])
	t.data = t.data[n:]
	if t.r.IntN(20) == 0 {
		return n, tapeErrors[t.r.IntN(len(tapeErrors))]
	}
	return n, nil
}

func (t *tape) Write(p []byte) (int, error) {
	if t.r.IntN(40) == 0 {
		n := t.r.IntN(len(p) + 1)
		t.written = append(t.written, p[:n]...)
		return n, tapeErrors[t.r.IntN(len(tapeErrors))]
	}
	t.written = append(t.written, p...)
	return len(p), nil
}

// sameAsInner uses a guarded and a plain connection alike and compares all that
// comes of it. In Enforce mode writes are compared until one is refused.
func sameAsInner(t *testing.T, seed uint64, mode Mode, server, client []byte) {
	panics := Stats().Panics
	plain := &tape{r: rand.New(rand.NewPCG(seed, 3)), data: server}
	inner := &tape{r: rand.New(rand.NewPCG(seed, 3)), data: server}
	guarded := New(inner, Options{Mode: mode}).NetConn()
	use := rand.New(rand.NewPCG(seed, 4))
	for i := 0; i < 200 && (len(plain.data) > 0 || len(client) > 0); i++ {
		if use.IntN(2) == 0 || len(client) == 0 {
			a, b := make([]byte, use.IntN(100)), make([]byte, 0)
			b = append(b, a...)
			n, err := plain.Read(a)
			m, merr := guarded.Read(b)
			if n != m || err != merr || !bytes.Equal(a, b) {
				t.Fatalf("Read: %d, %v and % x; the inner connection has %d, %v and % x", m, merr, b, n, err, a)
			}
			continue
		}
		w := client[:min(len(client), 1+use.IntN(100))]
		client = client[len(w):]
		keep := bytes.Clone(w)
		m, merr := guarded.Write(w)
		if !bytes.Equal(w, keep) {
			t.Fatal("Write has changed its argument")
		}
		if pe := (*ProtocolError)(nil); mode == Enforce && errors.As(merr, &pe) {
			if m != 0 {
				t.Fatalf("a refused Write returned %d", m)
			}
			break
		}
		n, err := plain.Write(w)
		if n != m || err != merr || !bytes.Equal(plain.written, inner.written) {
			t.Fatalf("Write: %d, %v; the inner connection has %d, %v", m, merr, n, err)
		}
		if err != nil {
			break // what the server said last may have been read since
		}
	}
	if Stats().Panics != panics {
		t.Fatal("the guard has panicked")
	}
}

// traffic is the bytes of both sides, of a conversation that is spoilt in some
// places.
func traffic(r *rand.Rand, spoilt int) (server, client []byte) {
	for _, s := range exchanges(r) {
		if s.dir == session.FromServer {
			server = append(server, s.bytes...)
		} else {
			client = append(client, s.bytes...)
		}
	}
	greeting := len(loginSegments()[0].bytes)
	for range spoilt {
		if len(server) > greeting {
			server[greeting+r.IntN(len(server)-greeting)] = byte(r.IntN(256))
		}
		client[r.IntN(len(client))] = byte(r.IntN(256))
	}
	return server[:min(len(server), 6000)], client[:min(len(client), 6000)]
}

func TestPassThrough(t *testing.T) {
	for seed := range uint64(400) {
		for _, mode := range []Mode{Enforce, Observe} {
			server, client := traffic(rand.New(rand.NewPCG(seed, 9)), int(seed%5))
			sameAsInner(t, seed, mode, server, client)
		}
	}
}

func FuzzPassThrough(f *testing.F) {
	f.Add(uint64(1), true, []byte{}, []byte("\x09\x00\x00\x00\x03SELECT 1"))
	f.Fuzz(func(t *testing.T, seed uint64, observe bool, server, client []byte) {
		mode := Enforce
		if observe {
			mode = Observe
		}
		// Behind a greeting everything passes.
		server = append(bytes.Clone(loginSegments()[0].bytes), server...)
		sameAsInner(t, seed, mode, server, client)
	})
}
