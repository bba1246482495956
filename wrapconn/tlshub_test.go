package wrapconn

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// tlsServer logs one client in over TLS and answers its first command with OK.
func tlsServer(nc net.Conn, cfg *tls.Config) {
	defer nc.Close()
	buf := make([]byte, 4096)
	if _, err := nc.Write(fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{
		Capabilities: mysqltest.DefaultCapabilities | mysqltest.CapSSL,
	})).bytes); err != nil {
		return
	}
	if _, err := io.ReadFull(nc, buf[:36]); err != nil {
		return
	}
	s := tls.Server(nc, cfg)
	ok := mysqltest.OKPayload(0, 0, 2, 0)
	for _, seq := range []byte{3, 1} {
		if _, err := s.Read(buf); err != nil {
			return
		}
		if _, err := s.Write(fromServer(seq, ok).bytes); err != nil {
			return
		}
	}
	_, _ = s.Read(buf)
}

// sslLogin is a login of DefaultCapabilities that asks for TLS.
func sslLogin() []byte {
	login := loginSegments()[1].bytes[4:]
	login = append([]byte(nil), login...)
	login[1] |= byte(mysqltest.CapSSL >> 8)
	return login
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (h *TLSHub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.logins)
}

// Connections that share a tls.Config and log in at the same time get their own
// secrets, and the hub keeps none of them behind the login.
func TestTLSHub(t *testing.T) {
	cert := selfSigned(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			var log lockedLog
			cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, KeyLogWriter: &log} // #nosec G402 -- a server of the test
			hub := ViewSharedTLS(cfg)
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					a, b := net.Pipe()
					go tlsServer(b, &tls.Config{Certificates: []tls.Certificate{cert}})
					c := New(a, Options{OnReport: func(_ context.Context, r *Report) { t.Errorf("reported: %s", r.Cause.Slug) }})
					hub.Attach(c)
					defer c.Close()
					buf := make([]byte, 4096)
					if _, err := c.Read(buf); err != nil {
						t.Error(err)
						return
					}
					login := sslLogin()
					if _, err := c.Write(fromClient(1, login[:32]).bytes); err != nil {
						t.Error(err)
						return
					}
					s := tls.Client(c, cfg)
					if i%4 == 3 { // one that is given up in the handshake
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*20*time.Microsecond)
						_ = s.HandshakeContext(ctx)
						cancel()
						return
					}
					for seq, b := range [][]byte{login, []byte("\x0e")} {
						number := byte(2)
						if seq == 1 {
							number = 0
						}
						if _, err := s.Write(fromClient(number, b).bytes); err != nil {
							t.Error(err)
							return
						}
						if _, err := s.Read(buf); err != nil {
							t.Error(err)
							return
						}
					}
					if got := c.Snapshot(); got.TLS != cause.TLSVisible || got.Commands != 1 || !c.Idle() {
						t.Errorf("%v (%s), %d commands", got.TLS, got.TLSReason, got.Commands)
					}
					c.mu.Lock()
					left := c.hub != nil || c.random != nil
					c.unlock()
					if left {
						t.Error("behind the login, the connection still has its hub")
					}
				})
			}
			wg.Wait()
			if n := hub.count(); n != 0 {
				t.Errorf("the hub still knows %d connections", n)
			}
			if !strings.Contains(log.String(), "CLIENT_") {
				t.Error("the user's own KeyLogWriter was not served")
			}
		})
	}
}

// A connection that is dropped without a Close in the middle of its login does not
// stay in the hub for ever.
func TestTLSHubForgetsTheDropped(t *testing.T) {
	hub := ViewSharedTLS(&tls.Config{}) // #nosec G402 -- never used
	for i := range 10 * minSweep {
		hub.enter(clientRandom{byte(i), byte(i >> 8)}, New(&queueConn{}, Options{}))
		if i%minSweep == 0 {
			runtime.GC()
		}
	}
	if n := hub.count(); n > 3*minSweep {
		t.Errorf("%d connections are known, of %d that were dropped", n, 10*minSweep)
	}
	for _, line := range []string{"", "\n", "CLIENT_RANDOM", "CLIENT_RANDOM 00 00\n", "CLIENT_RANDOM " + strings.Repeat("zz", 32) + " 00\n"} {
		if n, err := hub.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("%q: %d, %v", line, n, err)
		}
	}
}

type lockedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
