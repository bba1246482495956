#!/usr/bin/env bash
# cloudsqlconn-liveness.sh: the MySQL driver of cloud.google.com/go/cloudsqlconn wraps its connections so that go-sql-driver can
# check, before it uses a pooled one, whether it is still alive. The method for that, SyscallConn, has a pointer receiver, and the
# dial function returns the struct by value: go-sql-driver does not find the method and leaves the check out without a word, so a
# connection that has died in the pool is found only when a statement fails on it.
#
# Run with v1.14.1; v1.27.0 has the same lines. Fails if it is otherwise. Needs Go and the module proxy; connects to nothing.
set -euo pipefail
version=${1:-v1.14.1}
dir=$(mktemp -d -t finding.XXXXXX)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod
cat >main.go <<'GO'
package main

import (
	"fmt"
	"net"
	"syscall"

	mysql "cloud.google.com/go/cloudsqlconn/mysql/mysql"
)

func main() {
	var c net.Conn = mysql.LivenessCheckConn{Conn: &net.TCPConn{}} // as RegisterDriver's dial function returns it
	_, byValue := c.(syscall.Conn)
	_, byPointer := any(&mysql.LivenessCheckConn{}).(syscall.Conn)
	fmt.Printf("SyscallConn of what is returned: %t; of a pointer to it: %t\n", byValue, byPointer)
}
GO
go mod init finding >/dev/null 2>&1
go get "cloud.google.com/go/cloudsqlconn/mysql/mysql@$version" >log 2>&1 || { cat log; exit 1; }
out=$(go run .)
printf 'cloudsqlconn %s: %s\n' "$version" "$out"
[ "$out" = 'SyscallConn of what is returned: false; of a pointer to it: true' ] || {
  echo 'that has changed' >&2
  exit 1
}
# And that the dial function does return it by value:
grep -n 'return LivenessCheckConn{' "$(go list -m -f '{{.Dir}}' cloud.google.com/go/cloudsqlconn)/mysql/mysql/mysql.go"
