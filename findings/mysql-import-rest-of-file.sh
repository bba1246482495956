#!/usr/bin/env bash
# mysql-import-rest-of-file.sh: npm's mysql-import, which runs the statements of .sql files, leaves out the rest of a file without a word:
#
# - A single apostrophe in a comment ("-- the customer's orders") opens a string for it, for it knows of no comments. Everything behind
#   it belongs to that string and is not run, up to the next apostrophe, or to the end of the file. In what mysqldump writes, such comments
#   stand inside procedures, triggers and events.
# - A last statement without a semicolon behind it is not run.
#
# One expects what the mysql client does with the same file, or an error, as for a statement that fails. But import() resolves,
# onDumpCompleted says that there was no error, onProgress has come to 100 percent, and getImported() names the file. What is not run
# is never sent: the general log or a capture ends at the statement before.
#
# Below, a dump of MySQL's mysqldump with three procedures, and a file that somebody wrote by hand, are run with the client and with
# mysql-import. Run with mysql-import 5.0.26, its newest, and MySQL 9.7.4 with its mysqldump of the cache (scripts/servers.sh: mysql9,
# mysql9tools). Its fork mysql2-import 5.0.22 does the same. Neither its README nor its issues speak of it. Fails if it is otherwise.
# Needs npm and Node. Output seen: the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=${1:-5.0.26}
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23983}
"$scripts/servers.sh" fetch mysql9tools >/dev/null
"$scripts/servers.sh" start mysql9 "$dir/server" "$port" >/dev/null
mkdir "$dir/program"
cd "$dir/program"
{ npm init -y && npm install --no-audit --no-fund --ignore-scripts "mysql-import@$version" mysql2@3.24.6; } >log 2>&1 || die "$(tail -5 log)"
sql() { "$cache/mysql9/bin/mysql" -uroot -S "$dir/server/s.sock" -N "$@"; }
sql gotest --delimiter=// -e "CREATE TABLE orders (id INT PRIMARY KEY);
  CREATE PROCEDURE close_order (i INT) BEGIN
    -- the customer's last order
    DELETE FROM orders WHERE id = i;
  END;
  //
  CREATE PROCEDURE add_order (i INT) INSERT INTO orders VALUES (i) //
  CREATE PROCEDURE empty_orders () DELETE FROM orders //"
"$cache/mysql9tools/bin/mysqldump" -uroot -S "$dir/server/s.sock" --routines --set-gtid-purged=OFF --databases gotest |
  sed 's/gotest/copy/g' >dump.sql
cat >written.sql <<'SQL'
CREATE DATABASE written;
USE written;
CREATE TABLE orders (id INT PRIMARY KEY);
INSERT INTO orders VALUES (1);
INSERT INTO orders VALUES (2)
SQL
cat >main.js <<'JS'
const Importer = require('mysql-import')
const [port, ...files] = process.argv.slice(2)
const importer = new Importer({ host: '127.0.0.1', port: +port, user: 'gotest', password: 'secret' })
importer.onDumpCompleted(({ error }) => console.log('  error: ' + (error && error.message)))
importer.import(files).then(() => console.log('  imported: ' + importer.getImported().map(file => require('path').basename(file)).join(' ')))
JS
compare() { # NAME COMMAND...
  say "$1:"
  shift
  "$@"
  say "  procedures: $(sql -e "SELECT routine_name FROM information_schema.routines WHERE routine_schema = 'copy' ORDER BY 1" | paste -sd ' ')"
  say "  orders: $(sql -e 'SELECT id FROM written.orders ORDER BY 1' | paste -sd ' ')"
  sql -e 'DROP DATABASE copy; DROP DATABASE written'
}
client() {
  sql <dump.sql
  sql <written.sql
}
"$cache/mysql9/bin/mysqld" --version | sed 's/.*Ver/MySQL/'
out=$(compare 'mysql client' client && compare mysql-import timeout 60 node main.js "$port" dump.sql written.sql 2>&1)
printf 'mysql-import %s\n%s\n' "$version" "$out"
[ "$out" = "mysql client:
  procedures: add_order close_order empty_orders
  orders: 1 2
mysql-import:
  error: null
  error: null
  imported: dump.sql written.sql
  procedures: add_order
  orders: 1" ] || die 'that has changed'
