#!/usr/bin/env bash
# mydumper-last-row.sh: mydumper 0.10.1 (Debian 12; it calls itself 0.10.0) takes a column with an expression for its default (EXTRA "DEFAULT_GENERATED" since MySQL 8.0)
# for a generated one and leaves it out. It writes the names of the other columns into each INSERT, but not into one that it begins for
# the last row of a file, when that row makes the statement before it longer than --statement-size. The dump ends well, and cannot be loaded:
# "Column count doesn't match value count at row 1". --complete-insert avoids it.
#
# Run with MySQL 9.7.4 of the cache (scripts/servers.sh) and Debian's mydumper; nothing of this project is between them. Fails if it is
# otherwise.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
command -v mydumper >/dev/null || die 'mydumper is not installed'
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23990}
"$scripts/servers.sh" start mysql9 "$dir/server" "$port" >/dev/null
"$cache/mysql9/bin/mysql" -uroot -S "$dir/server/s.sock" -e "
  CREATE DATABASE shop; USE shop;
  CREATE TABLE orders (id INT PRIMARY KEY, v LONGTEXT, d DATETIME DEFAULT CURRENT_TIMESTAMP);
  INSERT INTO orders (id, v) VALUES (1, 'small'), (2, REPEAT('large', 400000))"
account=(-h 127.0.0.1 -P "$port" -u gotest -p secret)
mydumper --version | head -1
"$cache/mysql9/bin/mysqld" --version | sed 's/.*Ver/MySQL/'
load() { myloader "${account[@]}" -d "$1" -B "$2" -t 1 2>&1 | grep -o "Error restoring.*" || true; }
mydumper "${account[@]}" -B shop -o "$dir/dumped" 2>/dev/null
mydumper "${account[@]}" -B shop --complete-insert -o "$dir/complete" 2>/dev/null
grep -ho 'INSERT INTO .* VALUES' "$dir/dumped/shop.orders.sql"
as_it_is=$(load "$dir/dumped" restored) complete=$(load "$dir/complete" complete)
printf 'myloader: %s; with --complete-insert: %s\n' "${as_it_is:-no error}" "${complete:-no error}"
[[ $as_it_is == *"Column count doesn't match"* && -z $complete ]] || die 'that has changed'
