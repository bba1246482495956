#!/usr/bin/env bash
# mydumper-invisible-columns.sh: a backup with mydumper has nothing of what is in invisible columns, and does not say so. An INVISIBLE
# column (MySQL since 8.0.23, MariaDB since 10.3) is one like any other, but SELECT * and an INSERT without names leave it out, and mydumper
# reads with the one and writes the other. The dump has the column in its CREATE TABLE, and myloader ends well: every row has the
# column's default, or NULL.
#
# One expects what mysqldump and mariadb-dump do, which name the columns of such a table. It is the columns that were added last that are
# lost, for INVISIBLE is what one uses in order not to upset an old application. --complete-insert names the columns that were read, and
# so changes nothing.
#
# Run with Debian 12's mydumper 0.10.1-1+deb12u2, MySQL 9.7.4 and MariaDB 10.11 of the cache (scripts/servers.sh). The source of May 2026
# (1.0.1) reads with SELECT * too; there --complete-insert would help. Neither its manual nor its issues speak of it (Dumpling's and
# HeidiSQL's do of theirs). Fails if it is otherwise. Needs Debian 12 with its packages. Output seen: the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap 'for server in "$dir"/server.*; do "$scripts/servers.sh" stop "$server" || true; done; rm -rf "$dir"' EXIT
port=${PORT:-24006}
mkdir -p "$dir/program/debs/partial"
cd "$dir/program"
apt-get install -qq -y --download-only --reinstall --no-install-recommends -o Dir::Cache::archives="$PWD/debs" mydumper=0.10.1-1+deb12u2 \
  libmariadb3=1:10.11.19-0+deb12u1 >log 2>&1 || die "$(tail -5 log)"
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
libraries=$(echo "$PWD"/root/usr/lib/*-linux-gnu)

look() { # SERVER [OPTION...]
  local server=$1 socket=$dir/server.$1/s.sock status=0
  shift
  sql() { "$cache/$server/bin/mysql" -uroot -S "$socket" -N -e "$1"; }
  row() { sql "SELECT id, name, state, paid FROM $1.orders" | tr '\t' ' '; }
  run() { LD_LIBRARY_PATH=$libraries "root/usr/bin/$1" -u root -S "$socket" "${@:2}" >said 2>&1; }
  sql "DROP DATABASE IF EXISTS shop; DROP DATABASE IF EXISTS loaded; CREATE DATABASE shop; CREATE DATABASE loaded;
    CREATE TABLE shop.orders (id INT PRIMARY KEY, name VARCHAR(9), state VARCHAR(9) INVISIBLE DEFAULT 'open', paid DATE INVISIBLE);
    INSERT INTO shop.orders (id, name, state, paid) VALUES (1, 'Ann', 'closed', '2026-11-01')"
  rm -rf dump
  run mydumper -B shop -o dump "$@" || die "$(cat said)"
  run myloader -B loaded -d dump || status=$?
  say "$server${*:+ $*}: myloader: exit status $status, says '$(cat said)'; before: $(row shop), after: $(row loaded)"
}
for server in mysql9 mariadb1011; do
  "$scripts/servers.sh" start "$server" "$dir/server.$server" "$port" >/dev/null
  port=$((port + 1))
done
out=$(look mysql9 && look mariadb1011 && look mysql9 --complete-insert)
say "$out"
[ "$out" = "mysql9: myloader: exit status 0, says ''; before: 1 Ann closed 2026-11-01, after: 1 Ann open NULL
mariadb1011: myloader: exit status 0, says ''; before: 1 Ann closed 2026-11-01, after: 1 Ann open NULL
mysql9 --complete-insert: myloader: exit status 0, says ''; before: 1 Ann closed 2026-11-01, after: 1 Ann open NULL" ] || die 'that has changed'
