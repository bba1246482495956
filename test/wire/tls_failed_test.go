package wire_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	bigint "math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// scriptedCertificate is the certificate of a scripted server.
func scriptedCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: bigint.NewInt(1), Subject: pkix.Name{CommonName: "scripted"}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

var greetTLS = mysqltest.Greeting(mysqltest.GreetingOptions{Capabilities: mysqltest.DefaultCapabilities | mysqltest.CapSSL})

// handshake is a server's side of TLS that may fail.
func handshake(cfg *tls.Config) mysqltest.Step {
	return mysqltest.Do("handshake", func(s *mysqltest.Session) error {
		c := tls.Server(s.Conn, cfg)
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if c.Handshake() == nil {
			_, _ = c.Read(make([]byte, 1000))
		}
		return s.Conn.Close()
	})
}

func TestTLSFailed(t *testing.T) {
	cert := scriptedCertificate(t)
	for name, test := range map[string]struct {
		answer  mysqltest.Step
		version uint16
		says    string // in the error
	}{
		"plaintext ERR":      {mysqltest.Steps(mysqltest.SendERR(2, 3159, "HY000", "Connections using insecure transport are prohibited"), mysqltest.Close()), 0, "3159"},
		"closed":             {mysqltest.Close(), 0, "by the peer"},
		"not TLS":            {mysqltest.Steps(mysqltest.SendRaw([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), mysqltest.Close()), 0, "something else than TLS"},
		"1.2, certificate":   {handshake(&tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert}), tls.VersionTLS12, "alert"},
		"1.3, certificate":   {handshake(&tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert}), tls.VersionTLS13, "alert"},
		"no version":         {handshake(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}), tls.VersionTLS12, "protocol version"},
		"no suite in common": {handshake(&tls.Config{Certificates: []tls.Certificate{cert}, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}), tls.VersionTLS12, "handshake failure"},
	} {
		for _, view := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "", false: ", opaque"}[view], func(t *testing.T) {
				server := mysqltest.Serve(t, greetTLS, mysqltest.ExpectPacket(), test.answer)
				db, c := kit.Open(t, server.DSN(""), func(m *mysql.Config) {
					m.TLS = &tls.Config{InsecureSkipVerify: true}
					if test.version != 0 {
						m.TLS.MaxVersion = test.version
					}
				}, seqguard.WithTLSView(view))
				err := db.PingContext(kit.Timeout(t, 10*time.Second))
				t.Logf("error: %v", err)
				all := c.All()
				if !view && name == "1.3, certificate" {
					return // the alert is encrypted: only crypto/tls knows
				}
				if len(all) == 0 {
					t.Fatalf("no report of %v", err)
				}
				if all[0].Cause.Slug != "tls_failed" || !strings.Contains(fmt.Sprintf("%+v", err), test.says) {
					t.Errorf("%s\nwant tls_failed with %q", all[0], test.says)
				}
			})
		}
	}
}

// A certificate that this side does not trust: the driver says so itself, and
// the peer has done nothing wrong.
func TestTLSUnknownAuthority(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		db, c := kit.Open(t, server.DSN(""), func(m *mysql.Config) { m.TLS = &tls.Config{RootCAs: x509.NewCertPool()} })
		err := db.PingContext(kit.Timeout(t, 10*time.Second))
		var unknown x509.UnknownAuthorityError
		if !errors.As(err, &unknown) {
			t.Errorf("%v", err)
		}
		c.None(t)
	})
}

// What cannot be seen through is said, and the rest goes on working.
func TestTLSOpaque(t *testing.T) {
	mysqltest.ForEachServerBeside(t, func(t *testing.T, server *mysqltest.Instance) {
		for name, test := range map[string]struct {
			cfg    *tls.Config
			opts   []seqguard.Option
			reason string
		}{
			"by option": {&tls.Config{}, []seqguard.Option{seqguard.WithTLSView(false)}, "switched off by option"},
			"CBC": {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA}},
				nil, "CBC"},
		} {
			t.Run(name, func(t *testing.T) {
				test.cfg.InsecureSkipVerify = true
				change := func(m *mysql.Config) { m.TLS = test.cfg }
				db, c := kit.Open(t, server.DSN(""), change, test.opts...)
				if name == "CBC" && server.Kind == mysqltest.MySQL {
					return // MySQL has no such suite any more
				}
				r := visible(t, db, c, cause.TLSOpaque) // ownership is enforced in it
				if !strings.Contains(r.OpaqueReason, test.reason) {
					t.Errorf("reason %q, want %q", r.OpaqueReason, test.reason)
				}
				// The end of the stream in the middle of a command.
				db, c = kit.Open(t, server.DSN(""), change, test.opts...)
				db.SetMaxOpenConns(1)
				id := connectionID(t, context.Background(), db)
				time.Sleep(1100 * time.Millisecond) // or it looks like the end of the server
				kit.KillSoon(t, server, id)
				_, err := db.ExecContext(kit.Timeout(t, 30*time.Second), kit.LongStatement)
				if kit.AnsweredKill(server, err) {
					return
				}
				if r := kit.WantCause(t, err, c, "closed_before_answer"); r.Evidence.TLS != cause.TLSOpaque {
					t.Errorf("TLS %v", r.Evidence.TLS)
				}
			})
		}
	})
}

// The server ends a pooled connection that cannot be seen through, because nobody used it: the pool makes another one, nobody
// gets an error, and nothing is reported. What the driver still writes to it, of its statements and its good-bye, is no command.
func TestTLSOpaqueIdleEnd(t *testing.T) {
	mysqltest.ForEachServerBeside(t, func(t *testing.T, server *mysqltest.Instance) {
		db, c := kit.Open(t, server.DSN(""), func(m *mysql.Config) { m.TLS = &tls.Config{InsecureSkipVerify: true} }, seqguard.WithTLSView(false))
		db.SetMaxOpenConns(1)
		ctx := kit.Timeout(t, 30*time.Second)
		stmt, err := db.PrepareContext(ctx, "SELECT ?")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		id := connectionID(t, ctx, db)
		if _, err := db.ExecContext(ctx, "SET SESSION wait_timeout = 1"); err != nil {
			t.Fatal(err)
		}
		kit.AwaitEnd(t, server, id)
		var n int
		if err := stmt.QueryRowContext(ctx, 7).Scan(&n); err != nil || n != 7 {
			t.Errorf("%d, %v", n, err)
		}
		c.None(t)
	})
}
