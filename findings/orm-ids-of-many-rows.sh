#!/usr/bin/env bash
# orm-ids-of-many-rows.sh: npm's TypeORM and drizzle-orm insert several rows with one statement, and on a server that does not count by
# one they take strangers' rows for them. MySQL returns the first row's id only. Both add 1 for each further row, and do not ask for
# auto_increment_increment. It is not 1
#
# - in a Galera cluster: by default it is the number of nodes (wsrep_auto_increment_control);
# - in MySQL's group replication with several primaries: 7, by default;
# - between two servers that replicate each other: 2, as a rule.
#
# One expects the ids of the rows, as where it was developed, on one server. But all from the second on are other rows' ids, or nobody's:
# TypeORM's insert() writes them into the entities, drizzle's $returningId() returns them. What is then stored or looked up by such
# an id is another customer's, without an error; the OK packet and the table show it. TypeORM's save() is right, and so is insert() with
# the type "mariadb", where it asks with RETURNING.
#
# Below is the second node of three, and then a row comes from each of the others. Run with typeorm 1.1.1, drizzle-orm 0.45.4, mysql2
# 3.24.6 and MySQL 9.7.4 of the cache (scripts/servers.sh). Neither's documentation nor issues speak of it; those of bun (1215) and
# MikroORM (3828, cured) tell of the like, and gorm has a setting for it. Fails if it is otherwise. Needs npm and Node. Output seen:
# the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-24004}
"$scripts/servers.sh" start mysql9 "$dir/server" "$port" --auto-increment-increment=3 --auto-increment-offset=2 >/dev/null
mkdir "$dir/program"
cd "$dir/program"
{ npm init -y && npm install --no-audit --no-fund --ignore-scripts typeorm@1.1.1 drizzle-orm@0.45.4 mysql2@3.24.6 reflect-metadata@0.2.2; } >log 2>&1 ||
  die "$(tail -5 log)"
"$cache/mysql9/bin/mysql" -uroot -S "$dir/server/s.sock" gotest -e "
  CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20))"
cat >main.js <<'JS'
require('reflect-metadata')
const typeorm = require('typeorm')
const { drizzle } = require('drizzle-orm/mysql2')
const { int, mysqlTable, varchar } = require('drizzle-orm/mysql-core')
const mysql = require('mysql2/promise')

const server = { host: '127.0.0.1', port: +process.argv[2], user: 'gotest', password: 'secret', database: 'gotest' }
const names = ['Eva', 'Fay', 'Gus']
// What the other two nodes insert next, and then whose the ids are.
const whose = async (who, connection, ids) => {
  await connection.query('INSERT INTO customers VALUES (?)', [[ids[0] + 1, 'node 3: Bob']])
  await connection.query('INSERT INTO customers VALUES (?)', [[ids[0] + 2, 'node 1: Ann']])
  const [rows] = await connection.query('SELECT id, name FROM customers ORDER BY id')
  console.log(`${who}: says ${ids.map((id, i) => `${id} ${names[i]}`).join(', ')}; there are ${rows.map(row => `${row.id} ${row.name}`).join(', ')}`)
  await connection.query('TRUNCATE TABLE customers')
}

async function main() {
  const connection = await mysql.createConnection(server)
  const Customer = new typeorm.EntitySchema({
    name: 'customers',
    columns: { id: { type: Number, primary: true, generated: true }, name: { type: String, length: 20 } },
  })
  const source = new typeorm.DataSource({ ...server, type: 'mysql', username: server.user, entities: [Customer] })
  await source.initialize()
  for (const method of ['insert', 'save']) {
    const mine = names.map(name => ({ name }))
    await source.getRepository(Customer)[method](mine)
    await whose(`typeorm ${method}`, connection, mine.map(customer => customer.id))
  }
  const customers = mysqlTable('customers', { id: int().autoincrement().primaryKey(), name: varchar({ length: 20 }) })
  const got = await drizzle(connection).insert(customers).values(names.map(name => ({ name }))).$returningId()
  await whose('drizzle $returningId', connection, got.map(row => row.id))
  await source.destroy()
  await connection.end()
}
main()
JS
"$cache/mysql9/bin/mysqld" --version | sed 's/.*Ver/MySQL/'
out=$(timeout 60 node main.js "$port") || die "$out"
say "$out"
# shellcheck disable=SC2016 # drizzle's name
[ "$out" = 'typeorm insert: says 2 Eva, 3 Fay, 4 Gus; there are 2 Eva, 3 node 3: Bob, 4 node 1: Ann, 5 Fay, 8 Gus
typeorm save: says 2 Eva, 5 Fay, 8 Gus; there are 2 Eva, 3 node 3: Bob, 4 node 1: Ann, 5 Fay, 8 Gus
drizzle $returningId: says 2 Eva, 3 Fay, 4 Gus; there are 2 Eva, 3 node 3: Bob, 4 node 1: Ann, 5 Fay, 8 Gus' ] || die 'that has changed'
