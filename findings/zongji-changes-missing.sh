#!/usr/bin/env bash
# zongji-changes-missing.sh: npm's @powersync/mysql-zongji, which reads MySQL 8.0's binary log and emits the changes, leaves some out
# without a word. One expects every committed row, or an error:
#
# - A transaction that was written with binlog_transaction_compression=ON is not emitted, whatever is in it.
# - An UPDATE that was written with binlog_row_value_options=PARTIAL_JSON is not emitted.
# - A DECIMAL arrives as a JavaScript number, rounded to some 16 digits. For the types the README refers to npm's mysql, where it is a string.
#
# The first two are variables of a session: one client that sets them is enough (a migration, a batch job), and the server's global value
# says nothing about it. No "error" is emitted, and the reader's position moves on; whoever asks for the events "unknown" too gets these
# among others, without their contents. Its sister @vlasky/zongji 0.9.0 leaves the same changes out, but emits an error that says so.
#
# On the wire all is there: the events of the types 40 and 39 between those that arrive.
#
# Run with @powersync/mysql-zongji 0.6.2 and MySQL 9.7.4 of the cache (scripts/servers.sh). Fails if it is otherwise. Needs npm and Node.
# Output seen: the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=${1:-0.6.2}
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23997}
"$scripts/servers.sh" start mysql9 "$dir/server" "$port" --log-bin=binlog --server-id=1 >/dev/null
mkdir "$dir/program"
cd "$dir/program"
{ npm init -y && npm install --no-audit --no-fund --ignore-scripts "@powersync/mysql-zongji@$version"; } >log 2>&1 || die "$(tail -5 log)"
sql() { "$cache/mysql9/bin/mysql" -uroot -S "$dir/server/s.sock" -N gotest -e "$1"; }
sql "CREATE TABLE orders (id INT PRIMARY KEY, amount DECIMAL(20,2), note JSON);
  INSERT INTO orders VALUES (1, 123456789012345678.90, NULL);
  SET binlog_transaction_compression = ON;
  INSERT INTO orders VALUES (2, 20, '{\"state\": \"open\", \"text\": \"to be delivered to the back door\"}');
  DELETE FROM orders WHERE id = 1;
  SET binlog_transaction_compression = OFF, binlog_row_value_options = PARTIAL_JSON;
  UPDATE orders SET note = JSON_SET(note, '\$.state', 'paid') WHERE id = 2;
  INSERT INTO orders VALUES (3, 30, NULL)"
cat >main.js <<'JS'
const ZongJi = require('@powersync/mysql-zongji')
const reader = new ZongJi({ host: '127.0.0.1', port: +process.argv[2], user: 'gotest', password: 'secret' })
const seen = []
let errors = 0
reader.on('error', () => errors++)
reader.on('binlog', event => {
  for (const row of event.rows || []) {
    seen.push(`${event.getEventName()} ${row.id} ${row.amount}`)
    if (row.id !== 3) continue
    console.log(`emitted: ${seen.join(', ')}; errors: ${errors}`)
    process.exit()
  }
})
reader.start({ serverId: 7, includeEvents: ['tablemap', 'writerows', 'updaterows', 'deleterows'] })
JS
"$cache/mysql9/bin/mysqld" --version | sed 's/.*Ver/MySQL/'
out=$(say "in the table: $(sql 'SELECT id, amount, note->>"$.state" FROM orders' | tr '\t' ' ' | paste -sd ,)" && timeout 60 node main.js "$port") || die "$out"
printf 'mysql-zongji %s\n%s\n' "$version" "$out"
[ "$out" = 'in the table: 2 20.00 paid,3 30.00 NULL
emitted: writerows 1 123456789012345680, writerows 3 30; errors: 0' ] || die 'that has changed'
