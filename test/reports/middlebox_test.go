package reports_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// middlebox stands between clients and a server, and lets no ClientHello through that does not fit into one segment: it keeps it, or resets
// the connection.
type middlebox struct {
	backend string
	reset   bool
	largest atomic.Int64 // the first record of a client's TLS
}

func (m *middlebox) serve(client net.Conn) {
	server, err := net.Dial("tcp", m.backend)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	// The SSLRequest, and the header of the first record of TLS.
	begin := make([]byte, 4+32+5)
	if _, err := io.ReadFull(client, begin); err != nil {
		return
	}
	record := int64(binary.BigEndian.Uint16(begin[len(begin)-2:]))
	m.largest.Store(max(m.largest.Load(), record))
	if record > 1200 {
		if _, err := server.Write(begin[:4+32]); err != nil {
			return
		}
		if m.reset {
			_ = client.(*net.TCPConn).SetLinger(0)
			return
		}
		_, _ = io.Copy(io.Discard, client)
		return
	}
	if _, err := server.Write(begin); err == nil {
		_, _ = io.Copy(server, client)
	}
}

// Number 14, golang/go 80573 and GoogleCloudPlatform/cloud-sql-proxy 2296: since Go sends post-quantum key shares, a ClientHello does not fit one
// segment, and there are boxes that drop such a connection. The handshake stands still or is reset; neither has to do with the password.
func TestReport14LargeClientHello(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		if server.Net != "tcp" {
			t.Skip("NOT TESTED: a relay needs a server on TCP")
		}
		for name, reset := range map[string]bool{"kept": false, "reset": true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				box := &middlebox{backend: server.Addr, reset: reset}
				dsn := "gotest:secret@tcp(" + mysqltest.Accept(t, box.serve).Addr().String() + ")/gotest?tls=skip-verify"
				// The limit is one of each Read, so that nothing but the silence behind the ClientHello can use it up.
				db, reports := kit.Open(t, dsn+"&readTimeout=3s", nil)
				err := db.PingContext(kit.Timeout(t, time.Minute))
				if n := box.largest.Load(); n <= 1200 {
					t.Skipf("NOT TESTED: the ClientHello of this Go has %d bytes", n)
				}
				r := kit.WantCause(t, err, reports, "tls_failed")
				if !strings.Contains(r.Cause.Explanation, "ClientHello") || !strings.Contains(r.Cause.Advice, "GODEBUG=tlsmlkem=0") || strings.Contains(r.Cause.Advice, "password") {
					t.Errorf("%s\n%s", r.Cause.Explanation, r.Cause.Advice)
				}
				// What is advised helps.
				small, reports := kit.Open(t, dsn, func(cfg *mysql.Config) {
					cfg.TLS = &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}}
				})
				if err := small.PingContext(kit.Timeout(t, time.Minute)); err != nil {
					t.Errorf("with a small ClientHello: %v", err)
				}
				reports.None(t)
			})
		}
	})
}
