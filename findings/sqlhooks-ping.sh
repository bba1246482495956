#!/usr/bin/env bash
# sqlhooks-ping.sh: behind github.com/qustavo/sqlhooks, with which programs log and trace their statements, db.Ping asks nobody. One
# expects a wrapper for hooks to change nothing. Its connections lack driver.Pinger, and database/sql takes that for a driver without a
# ping: if the pool has a connection, Ping returns nil at once. go-sql-driver still sees whether the server has closed it, but of a server
# that does not answer any more (stopped, overloaded, cut off by a firewall) or that answers with an error (shutting down, offline_mode)
# the health check says that all is well, for as long as there is an idle connection.
#
# The sign: no COM_PING in a capture, and no Com_admin_commands on the server, however often the program pings.
#
# Run with v2.1.0, its newest, go-sql-driver v1.10.1 and Go 1.26.8; the server is part of the program. Fails if it is otherwise. Needs Go
# and the module proxy. Output seen: the two lines at the end of this file.
set -euo pipefail
version=${1:-v2.1.0}
dir=$(mktemp -d -t finding.XXXXXX)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod
cat >main.go <<'GO'
package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/qustavo/sqlhooks/v2"
)

type hooks struct{}

func (hooks) Before(ctx context.Context, _ string, _ ...any) (context.Context, error) { return ctx, nil }
func (hooks) After(ctx context.Context, _ string, _ ...any) (context.Context, error)  { return ctx, nil }

var (
	pings  atomic.Int32
	answer atomic.Value // to a ping; nothing, if it is empty
)

func serve(c net.Conn) {
	defer c.Close()
	write := func(number byte, payload string) {
		fmt.Fprintf(c, "%c\x00\x00%s%s", rune(len(payload)), []byte{number}, payload)
	}
	write(0, "\x0a8.0.36\x00\x09\x00\x00\x00abcdefgh\x00\x08\xa2\x2d\x02\x00\x08\x00\x15"+string(make([]byte, 10))+"ijklmnopqrst\x00mysql_native_password\x00")
	for number := byte(2); ; number = 1 {
		head := make([]byte, 4)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		payload := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
		if _, err := io.ReadFull(c, payload); err != nil {
			return
		}
		reply := "\x00\x00\x00\x02\x00\x00\x00" // OK
		if number == 1 && payload[0] == 0x0e {  // COM_PING
			pings.Add(1)
			reply = answer.Load().(string)
		}
		if reply != "" {
			write(number, reply)
		}
	}
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	sql.Register("hooked", sqlhooks.Wrap(&mysql.MySQLDriver{}, hooks{}))
	for _, name := range []string{"mysql", "hooked"} {
		fmt.Printf("%s:", name)
		pings.Store(0)
		for _, reply := range []string{"\xff\x1d\x04#08S01Server shutdown in progress", ""} {
			answer.Store(reply)
			db, err := sql.Open(name, "root@tcp("+l.Addr().String()+")/")
			if err != nil {
				panic(err)
			}
			if _, err := db.Exec("DO 1"); err != nil { // so that the pool has a connection
				panic(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			fmt.Printf(" %v;", db.PingContext(ctx))
			cancel()
			db.Close()
		}
		fmt.Printf(" pings received: %d\n", pings.Load())
	}
}
GO
go mod init finding >/dev/null 2>&1
go get "github.com/qustavo/sqlhooks/v2@$version" github.com/go-sql-driver/mysql@v1.10.1 >log 2>&1 || { cat log; exit 1; }
out=$(timeout 300 go run . 2>log) || { cat log; exit 1; }
printf 'sqlhooks %s, %s\n%s\n' "$version" "$(go env GOVERSION)" "$out"
[ "$out" = 'mysql: Error 1053 (08S01): Server shutdown in progress; context deadline exceeded; pings received: 2
hooked: <nil>; <nil>; pings received: 0' ] || {
  echo 'that has changed' >&2
  exit 1
}
