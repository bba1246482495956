package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tlsTap is the net.Conn below a tls.Client, as wrapconn.Conn is one.
type tlsTap struct {
	net.Conn
	mu    sync.Mutex
	w     *tlsWatch
	reads sizes                     // of the pieces in which bytes come
	piece int                       // how many came
	peek  func(b []byte, p TLSPeek) // called with what comes, before it is fed
}

// sizes cuts a stream: in pieces of the squares of its bytes, plus one, from the
// first on and round again. None: not at all.
type sizes []byte

// at is the size of piece i, at most most.
func (s sizes) at(i, most int) int {
	if len(s) == 0 {
		return most
	}
	v := int(s[i%len(s)])
	return min(most, 1+v*v)
}

func (s sizes) mean() int {
	if len(s) == 0 {
		return math.MaxInt
	}
	sum := 0
	for _, v := range s {
		sum += 1 + int(v)*int(v)
	}
	return sum / len(s)
}

func (c *tlsTap) Read(b []byte) (int, error) {
	c.mu.Lock()
	b = b[:c.reads.at(c.piece, len(b))]
	c.piece++
	c.mu.Unlock()
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peek != nil {
		c.peek(b[:n], c.w.t.PeekServer(b[:n]))
	}
	c.w.t.FeedServer(b[:n])
	return n, err
}

func (c *tlsTap) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.w.t.FeedClient(b)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// tlsLogger is the tls.Config.KeyLogWriter for a tap.
type tlsLogger struct{ c *tlsTap }

func (l tlsLogger) Write(b []byte) (int, error) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.c.w.t.WriteKeyLog(b)
	return len(b), nil
}

// tlsCertificate makes a self-signed certificate.
func tlsCertificate(t testing.TB, rsaKey bool) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"db"},
	}
	var c tls.Certificate
	if rsaKey {
		k, err := rsa.GenerateKey(crand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(crand.Reader, template, template, k.Public(), k)
		if err != nil {
			t.Fatal(err)
		}
		c.Certificate, c.PrivateKey = [][]byte{der}, k
		return c
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	c.Certificate, c.PrivateKey = [][]byte{der}, k
	return c
}

// tlsTalk is tlsTalkIn with sizes of its own.
func tlsTalk(t *testing.T, server, client *tls.Config, seed uint64) (w *tlsWatch, state tls.ConnectionState, plain [2][]byte) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 3))
	some := func(least int) (s sizes) {
		for range 1 + rnd.IntN(8) {
			s = append(s, byte(least+rnd.IntN(256-least)))
		}
		return s
	}
	var reads sizes
	if seed%2 == 1 {
		reads = some(0)
	}
	return tlsTalkIn(t, server, client, seed, some(10), reads)
}

// tlsTalkIn holds a conversation of random packets over loopback, written and
// read in pieces of the given sizes, and returns what a tap below the client
// saw. The client's secrets go to the tap.
func tlsTalkIn(t *testing.T, server, client *tls.Config, seed uint64, writes, reads sizes) (w *tlsWatch, state tls.ConnectionState, plain [2][]byte) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 2))
	write := func(c *tls.Conn, b []byte) error {
		for i := 0; len(b) > 0; i++ {
			n := writes.at(i, len(b))
			if _, err := c.Write(b[:n]); err != nil {
				return err
			}
			b = b[n:]
		}
		return nil
	}
	type turn struct{ ask, answer []byte }
	var turns []turn
	for range 12 {
		tn := turn{randomStream(rnd, 1+rnd.IntN(4)), randomStream(rnd, 1+rnd.IntN(60))}
		switch rnd.IntN(5) {
		case 0:
			tn.answer = packetOf(1, 1+rnd.IntN(300_000), 3)
		case 1:
			tn.ask = packetOf(0, 1+rnd.IntN(300_000), 3)
		case 2:
			tn.answer = rowsStream(1+rnd.IntN(2000), 30)
		}
		turns = append(turns, tn)
		plain[TLSClient] = append(plain[TLSClient], tn.ask...)
		plain[TLSServer] = append(plain[TLSServer], tn.answer...)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	served := make(chan error, 1)
	go func() {
		served <- func() error {
			raw, err := ln.Accept()
			if err != nil {
				return err
			}
			defer raw.Close()
			c := tls.Server(raw, server)
			for _, tn := range turns {
				if _, err := io.ReadFull(c, make([]byte, len(tn.ask))); err != nil {
					return err
				}
				if err := write(c, tn.answer); err != nil {
					return err
				}
			}
			return c.Close()
		}()
	}()

	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	tap := &tlsTap{Conn: raw, w: newTLSWatch(), reads: reads}
	client = client.Clone()
	client.KeyLogWriter = tlsLogger{tap}
	client.InsecureSkipVerify, client.ServerName = true, "db"
	client.ClientSessionCache = WatchSessions(client.ClientSessionCache, func(m []byte) {
		tap.mu.Lock()
		defer tap.mu.Unlock()
		tap.w.t.OfferSession(m)
	})
	c := tls.Client(tap, client)
	for _, tn := range turns {
		if err := write(c, tn.ask); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len(tn.answer))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	state = c.ConnectionState()
	c.Close()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	return tap.w, state, plain
}

// sees checks that w saw what was sent, and the version and the suite.
func (w *tlsWatch) sees(t *testing.T, plain [2][]byte, state tls.ConnectionState) {
	t.Helper()
	w.check(t, plain)
	if i := w.t.Info(); i.Version != state.Version || i.Suite != state.CipherSuite {
		t.Errorf("got %x %x, crypto/tls has %x %x", i.Version, i.Suite, state.Version, state.CipherSuite)
	}
}

// tlsMustSee is tlsTalk for connections that can be seen through.
func tlsMustSee(t *testing.T, server, client *tls.Config) {
	t.Helper()
	for seed := range uint64(4) {
		w, state, plain := tlsTalk(t, server, client, seed)
		w.sees(t, plain, state)
		if want := []string{"server: close notify", "client: close notify"}; !slices.Equal(w.alerts, want) {
			t.Errorf("alerts: %q, want %q", w.alerts, want)
		}
		t.Logf("%s %s, resumed %v, after the handshake: %q",
			tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), state.DidResume, w.late)
	}
}

func TestTLSLive12(t *testing.T) {
	for _, s := range tlsSuites {
		if s.version != tls.VersionTLS12 {
			continue
		}
		name := tls.CipherSuiteName(s.id)
		t.Run(name, func(t *testing.T) {
			server := &tls.Config{Certificates: []tls.Certificate{tlsCertificate(t, !strings.Contains(name, "ECDSA"))}}
			client := &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{s.id}}
			server.CipherSuites = client.CipherSuites
			tlsMustSee(t, server, client)
		})
	}
}

// tlsExpectSuite tells TestTLSLive13 in a subprocess which suite to expect.
const tlsExpectSuite = "WIRE_TLS_EXPECT_SUITE"

func TestTLSLive13(t *testing.T) {
	cert := tlsCertificate(t, false)
	plainly := func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	if want := os.Getenv(tlsExpectSuite); want != "" {
		w, _, _ := tlsTalk(t, plainly(), &tls.Config{}, 0)
		if got := tls.CipherSuiteName(w.t.Info().Suite); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	t.Run("post-quantum", func(t *testing.T) { tlsMustSee(t, plainly(), &tls.Config{}) })
	t.Run("retry", func(t *testing.T) {
		server := plainly()
		server.CurvePreferences = []tls.CurveID{tls.CurveP521}
		tlsMustSee(t, server, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.CurveP521}})
		if _, state, _ := tlsTalk(t, server, &tls.Config{}, 9); !state.HelloRetryRequest {
			t.Error("no HelloRetryRequest")
		}
	})
	t.Run("client certificate", func(t *testing.T) {
		server := plainly()
		server.ClientAuth = tls.RequireAnyClientCert
		tlsMustSee(t, server, plainly())
	})
	t.Run("resumption", func(t *testing.T) {
		server, client := plainly(), &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(4)}
		tlsMustSee(t, server, client)
		if _, state, _ := tlsTalk(t, server, client, 9); !state.DidResume {
			t.Error("not resumed")
		}
	})
}

// Without AES instructions crypto/tls prefers ChaCha20, which is the only way to
// have it choose that in TLS 1.3.
func TestTLSLive13ChaCha20(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("NOT TESTED: ChaCha20 in TLS 1.3 with crypto/tls: only amd64 can hide its AES instructions")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestTLSLive13$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=cpu.aes=off", tlsExpectSuite+"=TLS_CHACHA20_POLY1305_SHA256")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// A resumed session of TLS 1.2 is not in the key log.
func TestTLSLive12Resumption(t *testing.T) {
	server := &tls.Config{Certificates: []tls.Certificate{tlsCertificate(t, false)}, MaxVersion: tls.VersionTLS12}
	client := &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	tlsMustSee(t, server, client)
	if _, state, _ := tlsTalk(t, server, client, 9); !state.DidResume {
		t.Error("not resumed")
	}
	// The server does not agree: a full handshake with the secret offered.
	server.SessionTicketsDisabled = true
	tlsMustSee(t, server, client)
}

func TestTLSLiveOpaque(t *testing.T) {
	server := &tls.Config{
		Certificates: []tls.Certificate{tlsCertificate(t, true)}, MinVersion: tls.VersionTLS10,
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA},
	}
	for version, want := range map[uint16]string{
		tls.VersionTLS12: "cipher suite TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA has no stream mode known here",
		tls.VersionTLS11: "TLS 1.1 is not seen through",
	} {
		client := &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version, CipherSuites: server.CipherSuites}
		w, _, _ := tlsTalk(t, server, client, 1)
		if !slices.Equal(w.opaque, []string{want}) {
			t.Errorf("got %q, want %q", w.opaque, want)
		}
		if n := w.t.server.records; n < 12 {
			t.Errorf("%d records", n)
		}
	}
}

// Alerts in the handshake are in the clear or under its keys.
func TestTLSLiveAlerts(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct {
			name           string
			server, client *tls.Config
			want           string
		}{
			{"unknown authority", &tls.Config{}, &tls.Config{ServerName: "db", RootCAs: x509.NewCertPool()}, "client: bad certificate"},
			{"client certificate", &tls.Config{ClientAuth: tls.RequireAnyClientCert}, &tls.Config{InsecureSkipVerify: true}, map[uint16]string{
				tls.VersionTLS12: "server: handshake failure", tls.VersionTLS13: "server: certificate required",
			}[version]},
		} {
			t.Run(tls.VersionName(version)+"/"+c.name, func(t *testing.T) {
				a, b := net.Pipe()
				defer a.Close()
				defer b.Close()
				c.server.Certificates = []tls.Certificate{tlsCertificate(t, false)}
				c.server.MaxVersion = version
				go func() {
					tls.Server(b, c.server).Handshake()
					b.Close()
				}()
				tap := &tlsTap{Conn: a, w: newTLSWatch()}
				c.client.KeyLogWriter = tlsLogger{tap}
				conn := tls.Client(tap, c.client)
				conn.Handshake()
				conn.Read(make([]byte, 1))
				tap.mu.Lock()
				defer tap.mu.Unlock()
				if got := tap.w.alerts; !slices.Contains(got, c.want) || len(tap.w.opaque) > 0 {
					t.Errorf("alerts %q, want %q; opaque %q", got, c.want, tap.w.opaque)
				}
			})
		}
	}
}
