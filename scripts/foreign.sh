#!/usr/bin/env bash
# foreign.sh HOST:PORT [SUITE...]
#
# Runs test suites of other projects against a server that has gotest/secret with all rights (servers.sh start), first on the
# plain driver, then guarded: package asmysql is imported by a test file that is added, and nothing else is changed. Without
# names: gorp, trillian, openfga. There are:
#
#   gorp      github.com/go-gorp/gorp (two of its tests fail on either driver; they are about Snowflake)
#   sqlx      github.com/jmoiron/sqlx
#   trillian  github.com/google/trillian, storage/mysql
#   openfga   github.com/openfga/openfga, pkg/storage/mysql; the file that starts a container is replaced by one that makes
#             a database on the server (foreign/openfga_mysql.go.txt)
#
# Fails if the results differ in one test or subtest, if fewer tests passed than are expected, or if a violation was reported,
# a conversation ended untracked, or none was guarded.
#
# Environment:
#   KEEP=1   keep the work folder, with all logs
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
[ $# -ge 1 ] || {
  usage "$0"
  exit 2
}
addr=$1
shift
[ $# -gt 0 ] || set -- gorp trillian openfga
repo=$(dirname "$here")
ours=github.com/seqguard/mysql-seqguard
theirs=github.com/go-sql-driver/mysql
version=$(cd "$repo" && GOWORK=off go list -m -f '{{.Version}}' "$theirs")
work=$(mktemp -d -t foreign.XXXXXX)
cleanup() { if [ -n "${KEEP:-}" ]; then say "work folder: $work"; else rm -rf "$work"; fi; }
trap cleanup EXIT
export GOWORK=off GOFLAGS=-mod=mod FOREIGN_ADDR=$addr

# suite NAME MODULE VERSION FOLDER PACKAGE LEAST [BUILD FLAG...]: runs the tests of FOLDER on both drivers. PACKAGE is the name of the
# package that the added file belongs to; at least LEAST tests and subtests must pass.
suite() {
  local name=$1 module=$2 ver=$3 folder=$4 package=$5 least=$6 src dir=$work/$1 kind begin=$SECONDS
  local flags=("${@:7}")
  src=$(go mod download -json "$module@$ver" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
  [ -d "$src" ] || die "cannot download $module@$ver"
  mkdir "$dir"
  cp -R "$src/." "$dir/"
  chmod -R u+w "$dir"
  (
    cd "$dir"
    if declare -F "prepare_$name" >/dev/null; then "prepare_$name"; fi
    # The same versions in both runs: what the guard requires.
    go mod edit -require "$ours@v0.0.0" -replace "$ours=$repo" -require "$theirs@$version"
    sed "s/PACKAGE/$package/" "$here/foreign/guard_test.go.txt" >"$folder/zz_seqguard_test.go"
    go test -c "${flags[@]}" -o "$work/$name.guarded" "./$folder" >"$work/$name.build" 2>&1 || {
      tail -20 "$work/$name.build"
      die "$name does not build guarded"
    }
    rm "$folder/zz_seqguard_test.go"
    go test -c "${flags[@]}" -o "$work/$name.plain" "./$folder"
    cd "$folder"
    for kind in plain guarded; do
      "$work/$name.$kind" -test.v -test.count=1 -test.timeout=300s >"$work/$name.$kind.log" 2>&1 || true
      # Each line is one test or subtest and its result, without its time.
      sed -n 's/^ *--- \(PASS\|FAIL\|SKIP\): \(.*\) ([0-9.]*s)$/\1 \2/p' "$work/$name.$kind.log" | grep -v ' TestZZSeqguard$' | sort >"$work/$name.$kind.results"
    done
  )
  local pass fail
  pass=$(grep -c '^PASS ' "$work/$name.guarded.results" || true)
  fail=$(grep -c '^FAIL ' "$work/$name.guarded.results" || true)
  say "$name $ver: pass=$pass fail=$fail skip=$(grep -c '^SKIP ' "$work/$name.guarded.results" || true), $(grep '^seqguard counters: ' "$work/$name.guarded.log" || say 'no counters') ($((SECONDS - begin)) s)"
  diff "$work/$name.plain.results" "$work/$name.guarded.results" || {
    tail -40 "$work/$name.guarded.log"
    die "$name: the results differ (< plain, > guarded)"
  }
  [ "$pass" -ge "$least" ] || {
    tail -40 "$work/$name.guarded.log"
    die "$name: $pass tests passed, at least $least are expected"
  }
  grep -qE '^seqguard counters: connections=[1-9][0-9]* reports=0 untracked=0 ' "$work/$name.guarded.log" || die "$name: guarded connections are expected, no report and nothing untracked"
}

prepare_openfga() { cp "$here/foreign/openfga_mysql.go.txt" pkg/testfixtures/storage/mysql.go; }

account="gotest:secret@tcp($addr)"
for s in "$@"; do
  case $s in
    sqlx)
      export SQLX_MYSQL_DSN="$account/gotest?parseTime=true" SQLX_POSTGRES_DSN=skip SQLX_SQLITE_DSN=skip
      suite sqlx github.com/jmoiron/sqlx v1.4.0 . sqlx 50
      ;;
    gorp)
      export GORP_TEST_DSN="$account/gotest?parseTime=true" GORP_TEST_DIALECT=mysql
      suite gorp github.com/go-gorp/gorp/v3 v3.1.0 . gorp_test 50 -tags=integration
      ;;
    trillian)
      export TEST_MYSQL_URI="$account/"
      suite trillian github.com/google/trillian v1.8.0 storage/mysql mysql 70
      ;;
    openfga) suite openfga github.com/openfga/openfga v1.22.1 pkg/storage/mysql mysql 190 ;;
    *) die "there is no suite $s" ;;
  esac
done
