package kit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// Echo answers "SELECT n" with n and everything else with OK; extra, if not nil, gets the session after each answer.
func Echo(extra func(s *mysqltest.Session, query string) error) mysqltest.Step {
	return mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
		n, ok := strings.CutPrefix(string(body), "SELECT ")
		if cmd != mysqltest.ComQuery || !ok {
			return mysqltest.AnswerOK(s, cmd, body)
		}
		if err := s.WriteResultSet(mysqltest.Next, []mysqltest.Column{{Name: "n"}}, []any{n}); err != nil {
			return err
		}
		if extra != nil {
			return extra(s, n)
		}
		return nil
	})
}

// Scripted is a scripted server on which connections talk in plaintext or TLS, and a pool on it.
func Scripted(t *testing.T, secure bool, serve mysqltest.Step, opts ...seqguard.Option) (*sql.DB, *Collector) {
	return ScriptedSockets(t, secure, new(Sockets), serve, opts...)
}

// ScriptedSockets is Scripted, and keeps this side's ends of the connections.
func ScriptedSockets(t *testing.T, secure bool, sockets *Sockets, serve mysqltest.Step, opts ...seqguard.Option) (*sql.DB, *Collector) {
	login := mysqltest.Login(mysqltest.GreetingOptions{})
	params := ""
	if secure {
		login = mysqltest.Steps(
			mysqltest.Greeting(mysqltest.GreetingOptions{Capabilities: mysqltest.DefaultCapabilities | mysqltest.CapSSL}),
			mysqltest.UpgradeTLS(SelfSigned(t)), mysqltest.ExpectLogin(), mysqltest.SendOK(mysqltest.Next))
		params = "tls=skip-verify"
	}
	return Open(t, mysqltest.ServeEvery(t, login, serve).DSN(params), sockets.Watch, opts...)
}

// SelfSigned is the configuration of a server with a certificate of its own, made once.
var SelfSigned = func() func(*testing.T) *tls.Config {
	config := sync.OnceValues(func() (*tls.Config, error) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, err
	})
	return func(t *testing.T) *tls.Config {
		c, err := config()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}()

// PlainAndTLS runs a test twice: in plaintext and inside TLS.
func PlainAndTLS(t *testing.T, test func(t *testing.T, secure bool)) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%t", secure), func(t *testing.T) { test(t, secure) })
	}
}

// FreePort returns a port of 127.0.0.1 that nobody listens on at the moment.
func FreePort(t *testing.T) string {
	t.Helper()
	port, err := mysqltest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}
