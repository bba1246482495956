#!/usr/bin/env bash
# go-mysql-compressed-results.sh: the client of go-mysql 1.13.0, with CLIENT_COMPRESS, cannot read a second result of MySQL 9.7: "invalid sequence
# 2 != 6". Inside the compressed protocol MySQL goes on with the number of its frames behind each result that it flushes, and not with that of
# the packets; go-mysql checks the inner numbers as if there were no frames. libmysql, libmariadb and go-sql-driver do not check them.
#
# Run with MySQL 9.7.4 of the cache (scripts/servers.sh) and go-mysql from the module proxy; nothing of this project is between them.
# Fails if it is otherwise.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=${1:-v1.13.0}
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23991}
"$scripts/servers.sh" start mysql9 "$dir/server" "$port" >/dev/null
mkdir "$dir/program"
cd "$dir/program"
export GOWORK=off GOFLAGS=-mod=mod
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

func main() {
	for _, flags := range []uint32{0, mysql.CLIENT_COMPRESS} {
		c, err := client.Connect(os.Args[1], "gotest", "secret", "gotest", func(c *client.Conn) error {
			c.SetCapability(mysql.CLIENT_MULTI_STATEMENTS | flags)
			return nil
		})
		if err == nil {
			_, err = c.ExecuteMultiple("SELECT 1; SELECT 2", func(*mysql.Result, error) {})
		}
		fmt.Printf("compressed: %t; two results: %v\n", flags != 0, err)
	}
}
GO
go mod init finding >/dev/null 2>&1
go get "github.com/go-mysql-org/go-mysql@$version" >log 2>&1 || die "$(tail -5 log)"
go mod tidy >log 2>&1 || die "$(tail -5 log)"
"$cache/mysql9/bin/mysqld" --version | sed 's/.*Ver/MySQL/'
out=$(go run . "127.0.0.1:$port")
printf 'go-mysql %s: %s\n' "$version" "$out"
[[ $out == *'compressed: false; two results: <nil>'*'compressed: true; two results: invalid sequence'* ]] || die 'that has changed'
