#!/usr/bin/env bash
# serverless-mysql-half-transaction.sh: npm's serverless-mysql commits a part of a transaction and says that all is well. Its
# transaction().query(…).query(…).commit() promises all or nothing. But a statement that fails for a passing reason is sent again by
# itself, wherever it stands:
#
# - If the connection ends (KILL, a restart, a proxy), by default: on a new connection, which is in no transaction. The server has rolled
#   back the statements before it; this one and those behind it are committed, each by itself.
# - If the statement is the victim of a deadlock, with maxQueryRetries (the README offers it for deadlocks): on the same connection,
#   but InnoDB has rolled back the whole transaction and not only the statement, so again it runs by itself.
#
# Each time commit() resolves with the results of all statements, and neither the rollback handler nor onError is called. The general
# log shows it: START TRANSACTION and COMMIT have different connection ids, or there is a statement twice between them.
#
# Run with serverless-mysql 2.1.0, mysql2 3.24.6 and MySQL 9.7.4 of the cache (scripts/servers.sh). Fails if it is otherwise.
# Needs npm and Node. Output seen: the two lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=${1:-2.1.0}
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23992}
"$scripts/servers.sh" start mysql9 "$dir/server" "$port" >/dev/null
mkdir "$dir/program"
cd "$dir/program"
{ npm init -y && npm install --no-audit --no-fund --ignore-scripts "serverless-mysql@$version" mysql2@3.24.6; } >log 2>&1 || die "$(tail -5 log)"
cat >main.js <<'JS'
const mysql2 = require('mysql2/promise')
const serverless = require('serverless-mysql')
const config = { host: '127.0.0.1', port: +process.argv[2], user: 'gotest', password: 'secret', database: 'gotest' }
let called = 0
const count = () => { called++ }

async function running (watcher, statement) { // the connection that runs it, once it does
  for (let i = 0; i < 600; i++) {
    const [rows] = await watcher.query('SELECT id AS id FROM information_schema.processlist WHERE info = ?', [statement])
    if (rows.length) return rows[0].id
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error('not seen: ' + statement)
}

async function transaction (options, statements, meanwhile) {
  const db = serverless({ config, onError: count, ...options })
  const transaction = db.transaction()
  for (const statement of statements) transaction.query(statement)
  const done = transaction.rollback(count).commit()
  done.catch(() => {})
  await meanwhile()
  const results = (await done).length
  db.quit()
  return results
}

async function main () {
  const [other, watcher] = [await mysql2.createConnection(config), await mysql2.createConnection(config)]

  await other.query('CREATE TABLE orders (id INT PRIMARY KEY)')
  const slow = 'INSERT INTO orders SELECT 2 FROM (SELECT SLEEP(8)) pause'
  let results = await transaction({}, ['INSERT INTO orders VALUES (1)', slow, 'INSERT INTO orders VALUES (3)'],
    async () => other.query('KILL ' + await running(watcher, slow)))
  const [rows] = await other.query('SELECT id FROM orders ORDER BY id')
  console.log(`connection killed: ${results} results, handlers called ${called}, of rows 1 2 3 there are ${rows.map(row => row.id).join(' ')}`)

  await other.query('CREATE TABLE stock (id INT PRIMARY KEY, n INT)')
  await other.query('INSERT INTO stock WITH RECURSIVE ids AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM ids WHERE id < 200) SELECT id, 0 FROM ids')
  await other.beginTransaction()
  await other.query('UPDATE stock SET n = n + 1 WHERE id > 1') // many rows, so that InnoDB chooses the other one
  const second = 'UPDATE stock SET n = n + 10 WHERE id = 2'
  results = await transaction({ maxQueryRetries: 3 }, ['UPDATE stock SET n = n + 10 WHERE id = 1', second], async () => {
    await running(watcher, second)
    await other.query('UPDATE stock SET n = n + 1 WHERE id = 1')
    await other.commit()
  })
  const [stock] = await other.query('SELECT n FROM stock WHERE id < 3 ORDER BY id')
  console.log(`deadlock: ${results} results, handlers called ${called}, of 11 and 11 there are ${stock[0].n} and ${stock[1].n}`)
  process.exit()
}
main().catch(error => { console.log(error); process.exit(1) })
JS
"$cache/mysql9/bin/mysqld" --version | sed 's/.*Ver/MySQL/'
out=$(timeout 120 node main.js "$port") || die "$out"
printf 'serverless-mysql %s\n%s\n' "$version" "$out"
[ "$out" = 'connection killed: 3 results, handlers called 0, of rows 1 2 3 there are 2 3
deadlock: 2 results, handlers called 0, of 11 and 11 there are 1 and 11' ] || die 'that has changed'
