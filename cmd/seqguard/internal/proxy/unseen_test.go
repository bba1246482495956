package proxy

import (
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/keylog"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestMissingSecretsAreSaid: a key log that stays empty is said, and once.
func TestMissingSecretsAreSaid(t *testing.T) {
	server := mysqltest.Shared(t, "mysql9")
	var said lines
	keys := keylog.Follow(filepath.Join(t.TempDir(), "keys"))
	p, addr := startProxy(t, Config{Server: server.Addr, Keys: keys, KeyWait: time.Millisecond, Log: said.add})
	client := mysql.NewConfig()
	client.Net, client.Addr, client.User, client.Passwd = "tcp", addr, "gotest", "secret"
	client.TLS = &tls.Config{InsecureSkipVerify: true}
	connector, err := mysql.NewConnector(client)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		db := sql.OpenDB(connector)
		if err := db.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { s := p.list(); return len(s) > 0 && s[0].opaque() }, "it waits on")
		_ = db.Close()
		eventually(t, func() bool { return p.open() == 0 }, "it is left")
	}
	eventually(t, func() bool {
		return strings.Contains(said.text(), "its secrets are not in the key log after 1ms (-key-wait)")
	}, "it is not said")
	if strings.Count(said.text(), "key log") != 1 {
		t.Error(said.text())
	}
	// One that ends before that has not been seen either.
	p, client.Addr = startProxy(t, Config{Server: server.Addr, Keys: keys, KeyWait: time.Hour})
	if connector, err = mysql.NewConnector(client); err != nil {
		t.Fatal(err)
	}
	pingAndLeave(t, p, connector)
	if n, told := p.Counters.Opaque.Load(), p.Counters.Violations.Load(); n != 1 || told != 0 {
		t.Errorf("%d not seen, %d violations", n, told)
	}
}

// TestSecretsAtTheEnd: those that have been written, and not been read yet, when their
// connection is over.
func TestSecretsAtTheEnd(t *testing.T) {
	server := mysqltest.Shared(t, "mysql9")
	keys := filepath.Join(t.TempDir(), "keys")
	file, err := os.Create(keys)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	follower := keylog.Follow(keys) // it does not Run: as if it was not its turn meanwhile
	p, addr := startProxy(t, Config{Server: server.Addr, Keys: follower, KeyWait: time.Hour})
	client := mysql.NewConfig()
	client.Net, client.Addr, client.User, client.Passwd = "tcp", addr, "gotest", "secret"
	client.TLS = &tls.Config{InsecureSkipVerify: true, KeyLogWriter: file}
	connector, err := mysql.NewConnector(client)
	if err != nil {
		t.Fatal(err)
	}
	pingAndLeave(t, p, connector)
	if n, seen, told := p.Counters.Opaque.Load(), p.seen.Load(), p.Counters.Violations.Load(); n != 0 || seen != 2 || told != 0 {
		t.Errorf("%d not seen, %d commands, %d violations", n, seen, told) // a ping and COM_QUIT
	}
}

// pingAndLeave makes one connection through the proxy, and waits until it is over there.
func pingAndLeave(t *testing.T, p *Proxy, c driver.Connector) {
	t.Helper()
	db := sql.OpenDB(c)
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	eventually(t, func() bool { return p.Counters.Connections.Load() == 1 && p.open() == 0 }, "it is left")
}

func (s *conn) opaque() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun && s.talk.State().OpaqueReason != ""
}
