package conversation

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// recorder is one end of a pipe that keeps what is written to it.
type recorder struct {
	net.Conn
	dir session.Direction
	to  *recording
}

type recording struct {
	mu       sync.Mutex
	segments []segment
}

func (r *recorder) Write(p []byte) (int, error) {
	r.to.mu.Lock()
	r.to.segments = append(r.to.segments, segment{r.dir, bytes.Clone(p)})
	r.to.mu.Unlock()
	return r.Conn.Write(p)
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// overTLS is a conversation over TLS, and its key log.
func overTLS(t *testing.T, version uint16) (all []segment, keyLog []byte) {
	t.Helper()
	const ssl = mysqltest.CapSSL
	greeting := fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{Capabilities: mysqltest.DefaultCapabilities | ssl}))
	request := loginPayload(0, "")
	request[1] |= ssl >> 8
	login := append(bytes.Clone(request), "user\x00\x00"...)
	script := join([]segment{fromClient(2, login), fromServer(3, mysqltest.OKPayload(0, 0, 2, 0))}, selectOne(), prepared())

	var rec recording
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	var log bytes.Buffer
	client := tls.Client(&recorder{a, session.FromClient, &rec}, &tls.Config{
		InsecureSkipVerify: true, KeyLogWriter: &log, MinVersion: version, MaxVersion: version, //nolint:gosec // a test
	})
	server := tls.Server(&recorder{b, session.FromServer, &rec}, &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MaxVersion: version})
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<14)
	for _, s := range script {
		from, to := client, server
		if s.dir == session.FromServer {
			from, to = server, client
		}
		go func() {
			_, err := from.Write(s.bytes)
			done <- err
		}()
		for n := 0; n < len(s.bytes); {
			m, err := to.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	return join([]segment{greeting, fromClient(1, request)}, rec.segments), log.Bytes()
}

var versions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

func late() Config {
	cfg := another()
	cfg.Hold = 1 << 16
	return cfg
}

// Whenever the secrets come, the same packets are seen, with their own times.
func TestSecretsAtAnyTime(t *testing.T) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			all, keyLog := overTLS(t, version)
			first := newWatch(late())
			first.Secrets(keyLog, 0)
			first.say(all...)
			fine(t, first.Conversation)
			want := first.list(true)
			if s := first.State(); s.Phase != session.PhaseReady || s.Commands != 4 || s.TLS != cause.TLSVisible || s.Held != 0 || s.TLSVersion != version {
				t.Fatalf("%+v\n%s", s, want)
			}
			if len(first.packets) != 19 {
				t.Fatalf("%d packets\n%s", len(first.packets), want)
			}
			other := "CLIENT_RANDOM " + strings.Repeat("00", 32) + " " + strings.Repeat("11", 48) + "\n"
			lines := bytes.SplitAfter(keyLog, []byte("\n"))
			for at := 0; at <= len(all); at++ {
				for _, together := range []bool{true, false} {
					w := newWatch(late())
					w.say(all[:at]...)
					if held := w.State().Held; held > 1<<16 || at == len(all) && held == 0 {
						t.Fatalf("%d bytes are held", held)
					}
					w.Secrets([]byte(other), w.now)
					if together {
						w.Secrets(keyLog, w.now)
					} else {
						for _, line := range lines {
							w.Secrets(line, w.now)
						}
					}
					w.say(all[at:]...)
					fine(t, w.Conversation)
					if got := w.list(true); got != want {
						t.Fatalf("secrets after %d segments, together %v:\n%swant\n%s", at, together, got, want)
					}
					if s := w.State(); s.Held != 0 || s.LastByte != w.now {
						t.Errorf("then %+v", s)
					}
				}
			}
			// Line by line with the traffic.
			w := newWatch(late())
			for i, s := range all {
				w.say(s)
				if i >= 6 && i-6 < len(lines) {
					w.Secrets(lines[i-6], w.now)
				}
			}
			fine(t, w.Conversation)
			if got := w.list(true); got != want {
				t.Errorf("line by line:\n%swant\n%s", got, want)
			}
			// From a key log that is asked.
			cfg, asked := late(), 0
			cfg.KeyLog = func(random [32]byte) []byte {
				asked++
				if !bytes.Contains(keyLog, fmt.Appendf(nil, " %x ", random)) {
					t.Errorf("asked for %x", random)
				}
				return keyLog
			}
			w = newWatch(cfg)
			w.say(all...)
			if got := w.list(true); got != want || asked != 1 {
				t.Errorf("asked %d times:\n%s", asked, got)
			}
		})
	}
}

// The same for any cut of the bytes.
func TestSecretsAnyCut(t *testing.T) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			all, keyLog := overTLS(t, version)
			first := newWatch(late())
			first.Secrets(keyLog, 0)
			first.say(all...)
			for _, size := range []int{1, 7, 100} {
				w := newWatch(late())
				for i, s := range all {
					for b := s.bytes; len(b) > 0; {
						n := min(size, len(b))
						w.say(segment{s.dir, b[:n]})
						b = b[n:]
					}
					if i == len(all)-3 {
						w.Secrets(keyLog, w.now)
					}
				}
				fine(t, w.Conversation)
				if w.list(false) != first.list(false) {
					t.Errorf("%d bytes at a time:\n%s", size, w.list(false))
				}
			}
		})
	}
}

// What is held back is bounded, and then the conversation is opaque.
func TestSecretsNeverCome(t *testing.T) {
	all, keyLog := overTLS(t, tls.VersionTLS13)
	cfg := late()
	cfg.Hold = 3000
	w := newWatch(cfg)
	for _, s := range all {
		w.say(s)
		if held := w.State().Held; held > cfg.Hold {
			t.Fatalf("%d bytes are held", held)
		}
	}
	more := append([]byte{23, 3, 3, 4, 0}, make([]byte, 1024)...)
	for range 10 {
		w.say(segment{session.FromClient, more})
	}
	s := w.State()
	if s.Phase != session.PhaseOpaque || s.Held != 0 || s.Counts.Opaque != 1 || s.Counts.Panics != 0 || s.OpaqueReason == "" || s.TLS != cause.TLSOpaque {
		t.Fatalf("%+v", s)
	}
	w.Secrets(keyLog, w.now) // too late
	if w.Found() || len(w.packets) != 2 {
		t.Errorf("%d packets", len(w.packets))
	}
	// Or their user has waited long enough.
	w = newWatch(late())
	w.say(all...)
	w.Opaque("no secrets after 5 s", w.now)
	if s := w.State(); s.Phase != session.PhaseOpaque || s.Held != 0 || s.OpaqueReason != "no secrets after 5 s" {
		t.Errorf("%+v", s)
	}
	w.End(session.FromServer, cause.StreamEOF, nil, w.now)
	if w.Found() {
		t.Error("an opaque conversation has ended: that is all that is known")
	}
	w = newWatch(late())
	w.say(all...)
	w.Opaque("no secrets", w.now)
	w.EndAwaited(cause.StreamEOF, nil, w.now)
	if f := only(t, w.Conversation); f.Evidence.Phase != session.PhaseOpaque || f.OpaqueReason == "" {
		t.Errorf("somebody waited: %+v", f.Evidence)
	}
}

// Close leaves no secret behind, wherever it comes.
func TestCloseForgets(t *testing.T) {
	all, keyLog := overTLS(t, tls.VersionTLS13)
	for at := range all {
		w := newWatch(late())
		w.Secrets(keyLog[:len(keyLog)/2], 0)
		w.say(all[:at]...)
		w.Close()
		if x := w.x; x.early != nil || x.queue != nil || x.tap.buf != nil || w.State().Held != 0 {
			t.Fatalf("after %d segments: %+v", at, x)
		}
		w.say(all[at:]...)
		w.End(session.FromServer, cause.StreamEOF, nil, w.now)
		if w.Found() || w.Counts().Panics != 0 {
			t.Errorf("after %d segments: %+v", at, w.Counts())
		}
	}
	_ = time.Now
}
