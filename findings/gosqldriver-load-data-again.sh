#!/usr/bin/env bash
# gosqldriver-load-data-again.sh: if the connection ends while LOAD DATA LOCAL sends its file (KILL, a restart), database/sql runs the
# statement a second time, and Exec returns no error. One expects ErrInvalidConn, as for every statement that the server has begun:
# go-sql-driver returns driver.ErrBadConn, with which database/sql tries again, only if nothing of the command could be written. But
# it decides that for each packet, so a packet of the file that could not be written at all counts as a command that was never sent.
#
# - If the registered handler opens the data anew (reader A; a file likewise), a table without transactions gets the beginning twice.
# - If its reader goes on where it was, like a pipe or a request's body (reader B), only the end of the data is loaded, and what was
#   in hand when the connection ended (line 4 here) is lost.
#
# So it was with MariaDB 10.11.19, a load of 30,000 rows and KILL after the 20,000th, Exec returning nil each time: A into MyISAM
# 50,000 rows, B into InnoDB 9,998. In a sql.Tx and on a sql.Conn nothing is run twice.
#
# Run with go-sql-driver v1.10.1 and Go 1.26.8; here the server is a script that takes three packets of the file and hangs up.
# Fails if it is otherwise. Needs Go and the module proxy. Output seen: the two lines at the end of this file.
set -euo pipefail
version=${1:-v1.10.1}
dir=$(mktemp -d -t finding.XXXXXX)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod
cat >main.go <<'GO'
package main

import (
	"database/sql"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
)

var gone chan struct{} // closed when the server has hung up

type lines struct{ n int } // 7 lines, one a Read

func (l *lines) Read(p []byte) (int, error) {
	if l.n == 3 {
		<-gone
	}
	if l.n == 7 {
		return 0, io.EOF
	}
	l.n++
	return copy(p, fmt.Sprintf(" %d", l.n)), nil
}

func read(c net.Conn) []byte { // a packet's number and payload
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil
	}
	p := make([]byte, int(head[0])|int(head[1])<<8)
	io.ReadFull(c, p)
	return append(head[3:], p...)
}

func write(c net.Conn, number byte, p string) {
	io.WriteString(c, string([]byte{byte(len(p)), 0, 0, number})+p)
}

func serve(c net.Conn, take int, got chan<- string) {
	write(c, 0, "\x0a8.0.0\x00\x01\x00\x00\x00abcdefgh\x00\x80\x82\x08\x02\x00\x08\x00\x15"+strings.Repeat("\x00", 10)+
		"ijklmnopqrst\x00mysql_native_password\x00")
	read(c) // login
	ok := "\x00\x00\x00\x02\x00\x00\x00"
	write(c, 2, ok)
	statement := read(c)
	write(c, 1, "\xfb"+string(statement[2:])) // send me the file
	text := ""
	for range take {
		p := read(c)
		if len(p) == 1 { // the empty packet: its end
			write(c, p[0]+1, ok)
			got <- text
			return
		}
		text += string(p[1:])
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	close(gone)
	got <- text
}

func main() {
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	mysql.SetLogger(&mysql.NopLogger{})
	goesOn := &lines{}
	mysql.RegisterReaderHandler("A", func() io.Reader { return &lines{} })
	mysql.RegisterReaderHandler("B", func() io.Reader { return goesOn })
	for _, name := range []string{"A", "B"} {
		db, _ := sql.Open("mysql", "u@tcp("+l.Addr().String()+")/?timeout=60s&readTimeout=60s")
		gone = make(chan struct{})
		first, second := make(chan string, 1), make(chan string, 1)
		go func() {
			c, _ := l.Accept()
			serve(c, 3, first)
			c, _ = l.Accept()
			serve(c, 99, second)
		}()
		_, err := db.Exec("Reader::" + name)
		fmt.Printf("reader %s: error %v; sent at first:%s; then:%s\n", name, err, <-first, <-second)
		db.Close()
	}
}
GO
go mod init finding >/dev/null 2>&1
go get "github.com/go-sql-driver/mysql@$version" >log 2>&1 || { cat log; exit 1; }
out=$(timeout 300 go run .)
printf 'go-sql-driver %s, %s\n%s\n' "$version" "$(go env GOVERSION)" "$out"
[ "$out" = 'reader A: error <nil>; sent at first: 1 2 3; then: 1 2 3 4 5 6 7
reader B: error <nil>; sent at first: 1 2 3; then: 5 6 7' ] || {
  echo 'that has changed' >&2
  exit 1
}
