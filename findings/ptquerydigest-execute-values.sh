#!/usr/bin/env bash
# ptquerydigest-execute-values.sh: pt-query-digest --type tcpdump shows executed prepared statements with values that nobody sent.
# Its manual says that it supports them, so one takes the statements in a digest, and those that --output slowlog writes to be run again,
# for what the client sent. But:
#
# - A negative integer becomes a large positive one.
# - A question mark in a string counts as a placeholder: the next value lands inside the string, and all that follow move up by one
#   place. Below, the id becomes the amount.
# - An empty string becomes a string of all the bytes behind it.
#
# Each looks like an ordinary statement. (One with an unsigned argument, uint64 in Go, is left out, with an error on stderr.)
# go-sql-driver sends arguments like this unless interpolateParams=true.
#
# Run with percona-toolkit 3.2.1-1 and go-sql-driver v1.10.1; the server is part of the program below, which writes down what is read
# and sent, as tcpdump would. Fails if it is otherwise. Needs Go and the module proxy, Perl and Debian 12's packages.
# Output seen: at the end of this file.
set -euo pipefail
version=3.2.1-1
dir=$(mktemp -d -t finding.XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod
apt-get download "percona-toolkit=$version" >log 2>&1 || { cat log; exit 1; }
dpkg-deb -x percona-toolkit*.deb root
cat >main.go <<'GO'
package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

type capture struct { // the client's connection; prints as tcpdump -x -nn -q -tttt
	net.Conn
	sent [2]uint32
}

func (c *capture) segment(side int, data []byte) {
	ips, ports := [2][]byte{{10, 0, 0, 1}, {10, 0, 0, 2}}, [2]uint16{40000, 3306}
	var b bytes.Buffer
	b.Write([]byte{0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0})
	b.Write(ips[side])
	b.Write(ips[1-side])
	for _, v := range []any{ports[side], ports[1-side], c.sent[side], c.sent[1-side], uint16(0x5018), uint16(65535), uint32(0)} {
		check(binary.Write(&b, binary.BigEndian, v))
	}
	b.Write(data)
	binary.BigEndian.PutUint16(b.Bytes()[2:], uint16(b.Len()))
	fmt.Printf("%s IP 10.0.0.%d.%d > 10.0.0.%d.%d: tcp %d\n", time.Now().Format("2006-01-02 15:04:05.000000"),
		1+side, ports[side], 2-side, ports[1-side], len(data))
	for at := 0; at < b.Len(); at += 16 {
		fmt.Printf("\t0x%04x: ", at)
		for i := at; i < min(at+16, b.Len()); i += 2 {
			fmt.Printf(" %x", b.Bytes()[i:min(i+2, b.Len())])
		}
		fmt.Println()
	}
	c.sent[side] += uint32(len(data))
}

func (c *capture) Write(data []byte) (int, error) {
	c.segment(0, data)
	return c.Conn.Write(data)
}

func (c *capture) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	if n > 0 {
		c.segment(1, data[:n])
	}
	return n, err
}

func serve(c net.Conn) {
	number := byte(0)
	send := func(payloads ...string) {
		var b []byte
		for _, payload := range payloads {
			b = append(b, byte(len(payload)), 0, 0, number)
			b = append(b, payload...)
			number++
		}
		c.Write(b)
	}
	ok, eof, column := "\x00\x00\x00\x02\x00\x00\x00", "\xfe\x00\x00\x02\x00", "\x03def\x00\x00\x00\x01?\x00\x0c\x3f\x00\x00\x00\x00\x00\xfd\x80\x00\x00\x00\x00"
	send("\x0a8.0.36\x00\x09\x00\x00\x00abcdefgh\x00\x08\xa2\x2d\x02\x00\x08\x00\x15" + string(make([]byte, 10)) + "ijklmnopqrst\x00mysql_native_password\x00")
	for head := make([]byte, 4); ; {
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		payload := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
		if _, err := io.ReadFull(c, payload); err != nil {
			return
		}
		number = head[3] + 1
		switch {
		case number > 1: // the login
			send(ok)
		case payload[0] == 0x16:
			send("\x00\x01\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00", column, column, column, eof)
		case payload[0] != 0x19: // COM_STMT_CLOSE has no answer
			send(ok)
		}
	}
}

func main() {
	config := mysql.NewConfig()
	config.User = "app"
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go serve(server)
		return &capture{Conn: client, sent: [2]uint32{1000, 5000}}, nil
	}
	connector, err := mysql.NewConnector(config)
	check(err)
	db := sql.OpenDB(connector)
	for _, arguments := range [][]any{{"paid", 12, 7}, {"paid", -5, 7}, {"paid?", 12, 7}, {"", 12, 7}, {"paid", 12, uint64(7)}} {
		_, err := db.Exec("UPDATE account SET note = ?, balance = balance + ? WHERE id = ?", arguments...)
		check(err)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/go-sql-driver/mysql@v1.10.1 >log 2>&1 || { cat log; exit 1; }
go run . >capture 2>log || { cat log; exit 1; }
# shellcheck disable=SC2016 # Perl's variables
show='$event->{arg} =~ /^EXECUTE (.*)/s && print("$1\n")'
out=$(HOME=$dir perl root/usr/bin/pt-query-digest --no-version-check --no-report --type tcpdump --filter "$show" capture 2>log | LC_ALL=C cat -v) ||
  { cat log; exit 1; }
perl root/usr/bin/pt-query-digest --version
printf '%s\n' "$out"
[ "$out" = 'UPDATE account SET note = "paid", balance = balance + 12 WHERE id = 7
UPDATE account SET note = "paid", balance = balance + 1.84467440737096e+19 WHERE id = 7
UPDATE account SET note = "paid12", balance = balance + 7 WHERE id = ?
UPDATE account SET note = "^L^@^@^@^@^@^@^@^G^@^@^@^@^@^@^@", balance = balance + 12 WHERE id = 7' ] || {
  echo 'that has changed' >&2
  exit 1
}
grep -m1 'caused an error' log # the one with an unsigned argument
