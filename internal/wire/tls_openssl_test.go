package wire

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"
)

// OpenSSL is what MySQL servers use. Its s_server can be told a cipher suite of
// TLS 1.3, to pad its records, and to send a KeyUpdate, which crypto/tls answers
// with one of its own.
func TestTLSOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("NOT TESTED: the suites of TLS 1.3 and KeyUpdate against OpenSSL: there is no openssl here")
	}
	dir := t.TempDir()
	cert := tlsCertificate(t, true)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "server.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	b = append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, suite := range []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256} {
		name := tls.CipherSuiteName(suite)
		for _, padding := range []string{"0", "512"} {
			t.Run(name+"/padding "+padding, func(t *testing.T) {
				cmd := exec.Command(openssl, "s_server", "-accept", "127.0.0.1:0", "-cert", file, "-key", file,
					"-ciphersuites", name, "-record_padding", padding, "-tls1_3", "-naccept", "1")
				talkOpenSSL(t, cmd, suite)
			})
		}
	}
}

// serverOutput is what s_server prints: where it listens, notes (such as "Read BLOCK", after a read that brought no data), and the
// data that it gets.
type serverOutput struct {
	mu      sync.Mutex
	text    bytes.Buffer
	listens chan string // the address, once
}

var accepts = regexp.MustCompile(`(?m)^ACCEPT (127\.0\.0\.1:\d+)\r?\n`)

func (o *serverOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	known := accepts.Match(o.text.Bytes())
	o.text.Write(p)
	if m := accepts.FindSubmatch(o.text.Bytes()); m != nil && !known {
		o.listens <- string(m[1])
	}
	return len(p), nil
}

// peekConn is a connection on which can be waited for bytes without taking them.
type peekConn struct {
	net.Conn
	ahead *bufio.Reader
}

func (c peekConn) Read(p []byte) (int, error) { return c.ahead.Read(p) }

func talkOpenSSL(t *testing.T, cmd *exec.Cmd, suite uint16) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := &serverOutput{listens: make(chan string, 1)}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s", out.text.Bytes())
		}
	}()

	var addr string
	select {
	case addr = <-out.listens:
	case <-time.After(20 * time.Second):
		t.Fatal("s_server does not say where it listens")
	}
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	server := peekConn{raw, bufio.NewReader(raw)}
	tap := &tlsTap{Conn: server, w: newTLSWatch(), reads: sizes{50, 3, 255, 20, 1, 54, 9}}
	c := tls.Client(tap, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: tlsLogger{tap}})

	// s_server sends what comes on its standard input, but for lines that begin
	// with a letter it knows: k updates its keys, K asks for ours too. It prints
	// what it gets. One write is one record, up to 8 KiB.
	var plain [2][]byte
	say := func(p []byte) {
		t.Helper()
		plain[TLSServer] = append(plain[TLSServer], p...)
		if _, err := stdin.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len(p))); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(p []byte) {
		t.Helper()
		plain[TLSClient] = append(plain[TLSClient], p...)
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	ask(packetOf(0, 20, 3))
	say(packetOf(1, 5000, 0))
	for range 3 {
		if _, err := io.WriteString(stdin, "K\n"); err != nil {
			t.Fatal(err)
		}
		// What s_server reads together with the K is dropped. It has read it when its KeyUpdate comes.
		if _, err := server.ahead.Peek(1); err != nil {
			t.Fatal(err)
		}
		say(rowsStream(100, 10))
		ask(packetOf(0, 3000, 3))
		ask(packetOf(0, 12, 3))
	}
	c.Close()

	w := tap.w
	w.check(t, plain)
	if got := w.t.Info().Suite; got != suite {
		t.Errorf("suite %s", tls.CipherSuiteName(got))
	}
	for _, m := range []string{"server: key_update", "client: key_update"} {
		if n := len(slices.DeleteFunc(slices.Clone(w.late), func(s string) bool { return s != m })); n != 3 {
			t.Errorf("%d × %s in %q", n, m, w.late)
		}
	}
	if !slices.Contains(w.late, "server: new_session_ticket") {
		t.Errorf("no ticket in %q", w.late)
	}
}
