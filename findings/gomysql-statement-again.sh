#!/usr/bin/env bash
# gomysql-statement-again.sh: go-mysql's driver for database/sql sends a statement up to three times if its answer does not come. One
# expects once: driver.ErrBadConn, with which database/sql tries again, is for what the server cannot have carried out. This driver
# returns it whenever a connection ends, also when the server has read the statement:
#
# - If the connection ends before the answer (KILL, a restart, a proxy), an INSERT is sent again, and Exec returns nil if the second
#   one is answered. If the server had carried out the first, the row is there twice.
# - If readTimeout ends the wait, the statement is sent again while the server still works at it. With a limit of 10 s an UPDATE that
#   needs a minute is started three times, each waiting for the row locks of the one before.
#
# On the server they look like three clients with the same statement. With the option retries=off, of which the README says only that
# it disables retries of ErrBadConn, it is sent once.
#
# Run with github.com/go-mysql-org/go-mysql v1.13.0, Go 1.26.8; the server is the same module's. Fails if it is otherwise. Needs Go and
# the module proxy. Output seen: the lines at the end of this file.
set -euo pipefail
version=${1:-v1.13.0}
dir=$(mktemp -d -t finding.XXXXXX)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod
cat >main.go <<'GO'
package main

import (
	"database/sql"
	"fmt"
	"net"
	"strings"
	"sync"

	_ "github.com/go-mysql-org/go-mysql/driver"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/server"
)

type handler struct { // counts INSERTs, and leaves the first ones without an answer
	server.EmptyHandler
	conn     net.Conn
	received func() (unanswered bool)
	hangUp   chan struct{}
}

func (h handler) HandleQuery(query string) (*mysql.Result, error) {
	if strings.HasPrefix(query, "INSERT") && h.received() {
		<-h.hangUp
		h.conn.Close()
	}
	return nil, nil
}

func try(name, options string, hangUp chan struct{}, unanswered int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	var mu sync.Mutex
	count := 0
	received := func() bool {
		mu.Lock()
		defer mu.Unlock()
		count++
		return count <= unanswered
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				conn, err := server.NewConn(c, "root", "", handler{conn: c, received: received, hangUp: hangUp})
				for err == nil {
					err = conn.HandleCommand()
				}
			}()
		}
	}()
	db, err := sql.Open("mysql", "root@"+l.Addr().String()+"/"+options)
	if err != nil {
		panic(err)
	}
	_, err = db.Exec("INSERT INTO t VALUES (1)")
	mu.Lock()
	fmt.Printf("%s: received %d times; error: %t\n", name, count, err != nil)
	mu.Unlock()
}

func main() {
	now, never := make(chan struct{}), make(chan struct{})
	close(now)
	try("the first connection ends", "", now, 1)
	try("each connection ends", "", now, 99)
	try("readTimeout ends each wait", "?readTimeout=2s", never, 99)
	try("each connection ends, retries=off", "?retries=off", now, 99)
}
GO
go mod init finding >/dev/null 2>&1
go get "github.com/go-mysql-org/go-mysql@$version" >log 2>&1 || { cat log; exit 1; }
go mod tidy >log 2>&1 || { cat log; exit 1; }
out=$(timeout 300 go run . 2>log) || { cat log; exit 1; }
printf 'go-mysql %s, %s\n%s\n' "$version" "$(go env GOVERSION)" "$out"
[ "$out" = 'the first connection ends: received 2 times; error: false
each connection ends: received 3 times; error: true
readTimeout ends each wait: received 3 times; error: true
each connection ends, retries=off: received 1 times; error: true' ] || {
  echo 'that has changed' >&2
  exit 1
}
