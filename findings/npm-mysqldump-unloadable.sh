#!/usr/bin/env bash
# npm-mysqldump-unloadable.sh: npm's mysqldump, which makes dumps without MySQL's program of that name, writes files that no server takes.
# Its promise resolves all the same, so one finds out on the day when the dump is needed. It runs what it writes through a formatter,
# sql-formatter 2, which pulls apart what belongs together:
#
# - 1.5e-16 becomes "1.5e -16". MySQL writes DOUBLEs below 1e-15 like this.
# - <=>, << and >> in a view become "<= >", "< <" and "> >".
# - A BIT of 40 or more stays in the wrapper that was to keep the formatter away from it: NOFORMAT_WRAP("##b'…'##").
#
# And without the formatter too (format: false, for schema and data):
#
# - The value of a generated column is written, which MySQL refuses.
# - The value of an invisible column is written as nothing at all, VALUES (1,). So it is not in the dump either.
#
# One expects a dump that can be loaded, or an error. What went over the wire was right, except that SELECT * does not ask for invisible
# columns.
#
# Below, each table is dumped and loaded by itself. Run with mysqldump 3.2.0, its newest, and MySQL 9.7.4 of the cache (scripts/servers.sh).
# Its README does not speak of it, and no issue of it was found. Fails if it is otherwise. Needs npm and Node. Output seen: the lines at
# the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=${1:-3.2.0}
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-24005}
"$scripts/servers.sh" start mysql9 "$dir/server" "$port" >/dev/null
mkdir "$dir/program"
cd "$dir/program"
{ npm init -y && npm install --no-audit --no-fund --ignore-scripts "mysqldump@$version" sql-formatter@2.3.4; } >log 2>&1 || die "$(tail -5 log)"
sql() { "$cache/mysql9/bin/mysql" -uroot -S "$dir/server/s.sock" -N "$@"; }
sql gotest -e "CREATE DATABASE loaded;
  CREATE TABLE plain (id INT PRIMARY KEY, a VARCHAR(20)); INSERT INTO plain VALUES (1, 'a');
  CREATE TABLE small (id INT PRIMARY KEY, a DOUBLE); INSERT INTO small VALUES (1, 1.5e-16);
  CREATE TABLE wide (id INT PRIMARY KEY, a BIT(40)); INSERT INTO wide VALUES (1, 5);
  CREATE VIEW compared AS SELECT id, a <=> 'a' AS same, id << 1 AS twice FROM plain;
  CREATE TABLE computed (id INT PRIMARY KEY, a INT AS (id + 1)); INSERT INTO computed (id) VALUES (1);
  CREATE TABLE hidden (id INT PRIMARY KEY, a INT INVISIBLE); INSERT INTO hidden (id, a) VALUES (1, 2)"
cat >main.js <<'JS'
const [, , port, table, format] = process.argv
require('mysqldump')({
  connection: { host: '127.0.0.1', port: +port, user: 'gotest', password: 'secret', database: 'gotest' },
  dumpToFile: 'dump.sql',
  dump: { tables: [table], schema: { format: format === 'true' }, data: { format: format === 'true' } },
}).then(() => console.log('dumped'), error => console.log(`no dump: ${error.message}`))
JS
look() { # FORMAT TABLE...
  local format=$1 table said error
  shift
  for table; do
    said=$(timeout 60 node main.js "$port" "$table" "$format" 2>&1)
    error=$(sql loaded <dump.sql 2>&1 >/dev/null | sed -n '1s/ (.*//p') || true
    # shellcheck disable=SC2016 # MySQL's names
    say "format $format: $table: $said, ${error:-loaded}: $(grep -v '^ *[#/]' dump.sql | tr -s ' \n' ' ' | grep -oE 'VALUES \(.*\)|`a` <.{0,8}AS|`id` <.{0,8}AS' | paste -sd ' ')"
  done
}
out=$(look true plain small wide compared && sql -e 'DROP DATABASE loaded; CREATE DATABASE loaded' && look false plain small wide compared computed hidden)
say "mysqldump $version"
say "$out"
[ "$out" = "format true: plain: dumped, loaded: VALUES (1, 'a')
format true: small: dumped, ERROR 1064: VALUES (1, 1.5e -16)
format true: wide: dumped, ERROR 1305: VALUES ( 1, NOFORMAT_WRAP( \"##b'0000000000000000000000000000000000000101'##\" ) )
format true: compared: dumped, ERROR 1064: \`id\` < < 1) AS
format false: plain: dumped, loaded: VALUES (1,'a')
format false: small: dumped, loaded: VALUES (1,1.5e-16)
format false: wide: dumped, loaded: VALUES (1,b'0000000000000000000000000000000000000101')
format false: compared: dumped, loaded: \`a\` <=> 'a') AS \`id\` << 1) AS
format false: computed: dumped, ERROR 3105: VALUES (1,2)
format false: hidden: dumped, ERROR 1064: VALUES (1,)" ] || die 'that has changed'
