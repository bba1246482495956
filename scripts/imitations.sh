#!/usr/bin/env bash
# imitations.sh   The guard against servers that imitate MySQL: dolthub's go-mysql-server, go-mysql, and npm mysql2's createServer
#
# Makes a module of scripts/imitations in a temporary folder, so that none of these is a dependency of ours. Lawful use must be without a
# report, and what each does in its own way must have its name. Without npm the last is left out, loudly.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
[ $# -eq 0 ] || {
  usage "$0"
  exit 2
}
work=$(mktemp -d -t imitations.XXXXXX)
trap 'rm -rf "$work"' EXIT
for f in "$here"/imitations/*.go.txt; do
  name=${f##*/}
  cp "$f" "$work/${name%.txt}"
done
cd "$work"
export GOWORK=off GOFLAGS=-mod=mod
ours=github.com/seqguard/mysql-seqguard
# Its path is below ours, so that it may use what is internal.
go mod init "$ours/imitations" 2>/dev/null
go mod edit -require "$ours@v0.0.0" -replace "$ours=$(dirname "$here")"
go get github.com/dolthub/go-mysql-server@v0.20.0 github.com/go-mysql-org/go-mysql@v1.13.0 2>"$work/get.log" || die "$(tail -5 "$work/get.log")"
go mod tidy 2>"$work/tidy.log" || die "$(tail -5 "$work/tidy.log")"
if command -v npm >/dev/null && command -v node >/dev/null; then
  mkdir npm
  cp "$here/imitations/server.js" npm/
  (cd npm && npm init -y && npm install --no-audit --no-fund --ignore-scripts mysql2@3.24.6) >"$work/npm.log" 2>&1 || die "$(tail -5 "$work/npm.log")"
  export NPM_MYSQL2=$work/npm
fi
go test -count=1 -v .
