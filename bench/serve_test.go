package bench

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// serveEnv makes this program a server that logs everybody in and answers OK, or
// one row to a SELECT: what ten thousand connections cost the client is then all
// that this process spends.
const serveEnv = "BENCH_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		serve()
		return
	}
	os.Exit(m.Run())
}

// server starts the server in a process of its own and returns its address.
func server(t testing.TB) string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe() // its end is the server's
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return addr[:len(addr)-1]
}

func serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate()}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go session(c, config)
		}
	}()
	fmt.Println(l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func session(c net.Conn, config *tls.Config) {
	defer func() { _ = c.Close() }()
	buf := make([]byte, 1024)
	// read returns the payload of a packet, and what its id is.
	read := func() ([]byte, byte, bool) {
		if _, err := io.ReadFull(c, buf[:4]); err != nil {
			return nil, 0, false
		}
		n, seq := int(buf[0])|int(buf[1])<<8, buf[3]
		if n > len(buf) {
			return nil, 0, false
		}
		_, err := io.ReadFull(c, buf[:n])
		return buf[:n], seq, err == nil
	}
	_, _ = c.Write(greeting(1 << 11)) // TLS, too
	p, seq, ok := read()
	if ok && len(p) == 32 && binary.LittleEndian.Uint32(p)&(1<<11) != 0 {
		c = tls.Server(c, config)
		_, seq, ok = read()
	}
	if !ok {
		return
	}
	_, _ = c.Write(packet(nil, seq+1, okPayload))
	for {
		p, _, ok := read()
		if !ok || p[0] == 1 {
			return
		}
		if len(p) > 7 && string(p[1:7]) == "SELECT" {
			_, _ = c.Write(answers.one())
		} else {
			_, _ = c.Write(answers.ok())
		}
	}
}
