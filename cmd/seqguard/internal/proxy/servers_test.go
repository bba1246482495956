package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/keylog"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) { mysqltest.Main(m) }

// lateFile writes a key log as a slow disk would: in pieces, some time later.
type lateFile struct {
	mu   sync.Mutex
	path string
	wait time.Duration
}

func (f *lateFile) Write(line []byte) (int, error) {
	b := append([]byte(nil), line...)
	go func() {
		time.Sleep(f.wait) // the disk is slow
		f.mu.Lock()
		defer f.mu.Unlock()
		file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return
		}
		_, _ = file.Write(b[:len(b)/2])
		_, _ = file.Write(b[len(b)/2:])
		_ = file.Close()
	}()
	return len(line), nil
}

// use sends commands of many kinds over db, and draws results, errors and a
// transaction.
func use(t *testing.T, db *sql.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			c, err := db.Conn(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }()
			table := fmt.Sprintf("proxied%d", i)
			exec := func(q string, args ...any) {
				if _, err := c.ExecContext(ctx, q, args...); err != nil {
					t.Errorf("%.60s: %v", q, err)
				}
			}
			exec("CREATE TEMPORARY TABLE " + table + " (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)")
			for range 20 {
				exec("INSERT INTO "+table+" (v) VALUES (?)", strings.Repeat("x", 1000*i))
			}
			exec("INSERT INTO "+table+" (v) VALUES (?)", strings.Repeat("y", 17<<20))
			if _, err := c.ExecContext(ctx, "SELECT FROM WHERE"); err == nil {
				t.Error("no error")
			}
			rows, err := c.QueryContext(ctx, "SELECT id, v FROM "+table)
			if err != nil {
				t.Error(err)
				return
			}
			n := 0
			for rows.Next() {
				n++
			}
			if err := rows.Close(); err != nil || n != 21 {
				t.Errorf("%d rows, %v", n, err)
			}
			tx, err := c.BeginTx(ctx, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if err := tx.Rollback(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// TestServers: lawful use of real servers through the proxy, in plaintext, compressed
// and encrypted, is seen whole and reported never.
func TestServers(t *testing.T) {
	for _, name := range []string{"mysql9", "mariadb118"} {
		for _, m := range []string{"plaintext", "compressed", "passthrough 1.2", "passthrough 1.3", "passthrough, no keys", "terminate", "terminate, compressed"} {
			t.Run(name+"/"+m, func(t *testing.T) {
				server := mysqltest.Shared(t, name)
				var r reports
				cfg := Config{Server: server.Addr, OnReport: r.add, KeyWait: 10 * time.Second}
				client := mysql.NewConfig()
				client.Net, client.User, client.Passwd, client.DBName = "tcp", "gotest", "secret", "gotest"
				client.MaxAllowedPacket = 0
				if strings.Contains(m, "compressed") {
					if err := client.Apply(mysql.EnableCompression(true)); err != nil {
						t.Fatal(err)
					}
				}
				switch {
				case strings.HasPrefix(m, "passthrough"):
					path := filepath.Join(t.TempDir(), "keys")
					client.TLS = &tls.Config{InsecureSkipVerify: true, KeyLogWriter: &lateFile{path: path, wait: 3 * time.Millisecond}}
					if strings.HasSuffix(m, "1.2") {
						client.TLS.MaxVersion = tls.VersionTLS12
					}
					if !strings.HasSuffix(m, "no keys") {
						cfg.Keys = keylog.Follow(path)
						ctx, stop := context.WithCancel(context.Background())
						defer stop()
						go cfg.Keys.Run(ctx)
					}
				case strings.HasPrefix(m, "terminate"):
					pair, certificate, err := SelfMade("127.0.0.1:0")
					if err != nil {
						t.Fatal(err)
					}
					cfg.Terminate, cfg.ServerTLS = pair, &tls.Config{InsecureSkipVerify: true}
					pool := x509.NewCertPool()
					if b, _ := pem.Decode(certificate); b == nil || !pool.AppendCertsFromPEM(certificate) {
						t.Fatal("no certificate")
					}
					client.TLS = &tls.Config{RootCAs: pool, ServerName: "localhost"}
				}
				p, addr := startProxy(t, cfg)
				client.Addr = addr
				connector, err := mysql.NewConnector(client)
				if err != nil {
					t.Fatal(err)
				}
				db := sql.OpenDB(connector)
				use(t, db)
				eventually(t, func() bool { return len(p.list()) == 0 }, "connections are left")
				c := &p.Counters
				opaque := uint64(0)
				if strings.HasSuffix(m, "no keys") {
					opaque = c.Connections.Load()
				}
				if s := r.slugs(); len(s) > 0 || c.Violations.Load() != 0 || c.Untracked.Load() != 0 || c.Opaque.Load() != opaque || c.Connections.Load() < 4 || p.seen.Load() == 0 && opaque == 0 {
					t.Errorf("told %v, %d violations, %d untracked, %d opaque of %d connections, %d commands seen", s, c.Violations.Load(), c.Untracked.Load(), c.Opaque.Load(), c.Connections.Load(), p.seen.Load())
				}
			})
		}
	}
}

// TestTerminateRefused: a client that refuses the certificate of the proxy is told, as
// one that refuses the server's is.
func TestTerminateRefused(t *testing.T) {
	server := mysqltest.Shared(t, "mysql9")
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			pair, _, err := SelfMade("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var r reports
			p, addr := startProxy(t, Config{
				Server: server.Addr, OnReport: r.add, Terminate: pair, ServerTLS: &tls.Config{InsecureSkipVerify: true},
			})
			client := mysql.NewConfig()
			client.Net, client.Addr, client.User, client.Passwd = "tcp", addr, "gotest", "secret"
			client.TLS = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", MaxVersion: version}
			connector, err := mysql.NewConnector(client)
			if err != nil {
				t.Fatal(err)
			}
			db := sql.OpenDB(connector)
			defer func() { _ = db.Close() }()
			if err := db.PingContext(context.Background()); err == nil {
				t.Fatal("the certificate was accepted")
			}
			eventually(t, func() bool { return len(p.list()) == 0 && len(r.slugs()) > 0 }, "nothing was told")
			if s := r.slugs(); len(s) != 1 || s[0] != "tls_failed" {
				t.Fatalf("told %v", s)
			}
			if c := r.list[0].Cause; !strings.Contains(c.Explanation, "it refused the proxy's certificate") || !strings.Contains(c.Advice, "-cert-out") || strings.Contains(c.Advice, "openssl") {
				t.Errorf("%s %s", c.Explanation, c.Advice)
			}
		})
	}
}
