package main

import (
	"bufio"
	"database/sql"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"

	"github.com/seqguard/mysql-seqguard/example/internal/embedded"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

var server *embedded.Server

func TestMain(m *testing.M) { embedded.Main(m, func(s *embedded.Server) { server = s }) }

// proxy understands CONNECT and counts. late makes it wait for the greeting, so
// that it comes in one piece with the answer.
func proxy(t *testing.T, late bool, count *atomic.Int32) string {
	t.Helper()
	return mysqltest.Accept(t, func(c net.Conn) { serve(c, late, count) }).Addr().String()
}

func serve(c net.Conn, late bool, count *atomic.Int32) {
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil || req.Method != http.MethodConnect {
		return
	}
	count.Add(1)
	to, err := net.Dial("tcp", req.Host)
	if err != nil {
		_, _ = io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	defer to.Close()
	answer := []byte("HTTP/1.1 200 OK\r\n\r\n")
	if late {
		greeting := make([]byte, 1024)
		n, err := to.Read(greeting)
		if err != nil {
			return
		}
		answer = append(answer, greeting[:n]...)
	}
	if _, err := c.Write(answer); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(to, c)
		_ = to.Close()
	}()
	_, _ = io.Copy(c, to)
}

func TestThroughProxy(t *testing.T) {
	for name, late := range map[string]bool{"proxy": false, "proxy-late": true} {
		t.Run(name, func(t *testing.T) {
			var count atomic.Int32
			mysql.RegisterDialContext(name, through(proxy(t, late, &count)))
			defer mysql.DeregisterDialContext(name)
			dsn := strings.Replace(server.DSN("app", ""), "@tcp(", "@"+name+"(", 1)
			db, err := sql.Open(seqguard.DriverName, dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for i := range 3 {
				var n int
				if err := db.QueryRowContext(t.Context(), "SELECT ?", i).Scan(&n); err != nil || n != i {
					t.Fatalf("%d, %v; want %d", n, err, i)
				}
			}
			if count.Load() != 1 {
				t.Errorf("%d connections through the proxy, want 1", count.Load())
			}
		})
	}
}

func TestProxyRefuses(t *testing.T) {
	var count atomic.Int32
	dial := through(proxy(t, false, &count))
	start := time.Now()
	_, err := dial(t.Context(), "127.0.0.1:1")
	if err == nil || !strings.Contains(err.Error(), "502") {
		t.Errorf("%v, want the proxy's 502", err)
	}
	if time.Since(start) > 5*time.Second {
		t.Error("it took too long")
	}
}
