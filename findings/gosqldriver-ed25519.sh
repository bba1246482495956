#!/usr/bin/env bash
# gosqldriver-ed25519.sh: one of 256 logins with go-sql-driver to a MariaDB account of the plugin ed25519 fails, with the right password,
# as "malformed packet". The nonce in MariaDB's AuthSwitchRequest is 32 bytes of any value. The driver takes a 0 at the end of such
# data for a terminator, which it is for mysql_native_password, and then finds that the nonce has 31 bytes.
#
# The program looks at the nonces, and so shows that those logins fail and no others.
#
# Run with go-sql-driver v1.10.1, Go 1.26.8 and MariaDB 10.11. Fails if it is otherwise. Needs Go, the module proxy, and the server of
# scripts/servers.sh (or the system's). Output seen (the numbers differ each time):
#   4000 logins with the right password: 21 fail with "malformed packet"; 21 nonces end in 0, of those failed: 21
set -euo pipefail
version=${1:-v1.10.1}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=${PORT:-23890}
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$here/../scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
mkdir "$dir/server"
"$here/../scripts/servers.sh" start mariadb1011 "$dir/server" "$port"
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod PORT=$port
cat >main.go <<'GO'
package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/go-sql-driver/mysql"
)

// seen keeps what the server sends.
type seen struct {
	net.Conn
	got *[]byte
}

func (s seen) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	*s.got = append(*s.got, p[:n]...)
	return n, err
}

func try() (failed bool, nonce []byte) {
	var got []byte
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = "ed", "secret", "tcp", "127.0.0.1:"+os.Getenv("PORT")
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		return seen{c, &got}, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		panic(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	_, err = db.Exec("DO 1")
	if errors.Is(err, mysql.ErrMalformPkt) {
		failed = true
	} else if err != nil {
		panic(err)
	}
	if _, after, ok := bytes.Cut(got, []byte("client_ed25519\x00")); ok {
		nonce = after[:32]
	}
	return failed, nonce
}

func main() {
	const logins = 4000
	failed, zero, both := 0, 0, 0
	for range logins {
		r, nonce := try()
		if len(nonce) != 32 {
			panic("no nonce")
		}
		z := nonce[31] == 0
		if r {
			failed++
		}
		if z {
			zero++
		}
		if r && z {
			both++
		}
	}
	fmt.Printf("%d logins with the right password: %d fail with \"malformed packet\"; %d nonces end in 0, of those failed: %d\n", logins, failed, zero, both)
	if zero == 0 || failed != zero || both != zero {
		fmt.Println("it is otherwise now")
		os.Exit(1)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get "github.com/go-sql-driver/mysql@$version" >/dev/null 2>&1
go run .
