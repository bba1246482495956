package doors

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// The tunnel as programs have it: an SSH client, its dial function registered for "tcp", and a DSN whose address only the host
// at the other end can reach.
func TestFault5_01SSHTunnel(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		host := serveSSH(t, server.Net, server.Addr)
		client, err := ssh.Dial("tcp", host.Addr().String(), &ssh.ClientConfig{
			User: "tunnel", Auth: []ssh.AuthMethod{ssh.Password("tunnel")}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), // #nosec G106 -- in this process
		})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		registerDial(t, "tcp", func(ctx context.Context, addr string) (net.Conn, error) { return client.DialContext(ctx, "tcp", addr) })
		for _, params := range []string{"", "tls=skip-verify", "compress=true"} {
			before := host.forwarded.Load()
			guards(t, 1, func() {
				db := open(t, seqguard.DriverName, "gotest:secret@tcp(db.internal:3306)/gotest?"+params)
				db.SetMaxOpenConns(1)
				var id int64
				for range 3 {
					if err := db.QueryRowContext(ctx(t), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
						t.Fatalf("%q: %v", params, err)
					}
				}
				_ = db.Close()
			})
			if n := host.forwarded.Load() - before; n != 1 {
				t.Errorf("%q: %d channels through the tunnel, want 1", params, n)
			}
		}
	})
}

type sshHost struct {
	net.Listener
	forwarded atomic.Int32
}

// serveSSH forwards what it is asked to forward to db.internal:3306.
func serveSSH(t *testing.T, network, addr string) *sshHost {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil }}
	config.AddHostKey(signer)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	h := &sshHost{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go h.serve(c, config, network, addr)
		}
	}()
	return h
}

func (h *sshHost) serve(c net.Conn, config *ssh.ServerConfig, network, addr string) {
	defer c.Close()
	_, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offer := range channels {
		if want := offer.ExtraData(); offer.ChannelType() != "direct-tcpip" || target(want) != "db.internal:3306" {
			_ = offer.Reject(ssh.ConnectionFailed, target(want))
			continue
		}
		inner, err := net.Dial(network, addr)
		if err != nil {
			_ = offer.Reject(ssh.ConnectionFailed, err.Error())
			continue
		}
		ch, rq, err := offer.Accept()
		if err != nil {
			_ = inner.Close()
			continue
		}
		h.forwarded.Add(1)
		go ssh.DiscardRequests(rq)
		go func() { _, _ = io.Copy(inner, ch); _ = inner.Close() }()
		go func() { _, _ = io.Copy(ch, inner); _ = ch.Close() }()
	}
}

// target reads the destination out of a direct-tcpip request (RFC 4254, 7.2): host and port come first.
func target(extra []byte) string {
	if len(extra) < 4 {
		return ""
	}
	n := int(binary.BigEndian.Uint32(extra))
	if len(extra) < 4+n+4 {
		return ""
	}
	return fmt.Sprintf("%s:%d", extra[4:4+n], binary.BigEndian.Uint32(extra[4+n:]))
}
