#!/usr/bin/env bash
# otel-mysql2-streamed.sh: OpenTelemetry's instrumentation of npm's mysql2, and a query whose rows are read one by one (query(…).stream()
# or .on('result'), as one does with many rows). One expects a span from the call to the last row, with the error if
# there was one. But the span ends with the first event "result", and mysql2 emits one for each row:
#
# - The span is over at the first row: a query that takes minutes looks like one of milliseconds.
# - If the query fails after that (killed, out of time, connection lost), the span's status is unset.
# - A query that finds no row emits no "result": its span is never ended, so it is never exported.
# - With values, query('… ?', [1]), nothing ends the span whatever comes: none of these queries is in any trace. (knex's stream()
#   calls it so.)
#
# With a callback or a promise all is well, so it is the long queries that one cannot find in the traces.
#
# Run with @opentelemetry/instrumentation-mysql2 0.69.0, mysql2 3.24.6 and MySQL 9.7.4 of the cache (scripts/servers.sh). Fails if it is
# otherwise. Needs npm and Node. Output seen: the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=${1:-0.69.0}
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23996}
"$scripts/servers.sh" start mysql9 "$dir/server" "$port" >/dev/null
mkdir "$dir/program"
cd "$dir/program"
{ npm init -y && npm install --no-audit --no-fund --ignore-scripts "@opentelemetry/instrumentation-mysql2@$version" mysql2@3.24.6 \
  @opentelemetry/api@1.9.0 @opentelemetry/instrumentation@0.223.0 @opentelemetry/sdk-trace-base@2.12.1; } >log 2>&1 || die "$(tail -5 log)"
cat >main.js <<'JS'
const { trace } = require('@opentelemetry/api')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
const { registerInstrumentations } = require('@opentelemetry/instrumentation')
const { MySQL2Instrumentation } = require('@opentelemetry/instrumentation-mysql2')
const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
trace.setGlobalTracerProvider(provider)
registerInstrumentations({ tracerProvider: provider, instrumentations: [new MySQL2Instrumentation()] })
const mysql2 = require('mysql2')
const config = { host: '127.0.0.1', port: +process.argv[2], user: 'gotest', password: 'secret', database: 'gotest' }
const connection = mysql2.createConnection(config)

const say = (name, rows, error, time) => {
  const [span] = exporter.getFinishedSpans()
  exporter.reset()
  const status = span && ['unset', 'ok', 'error'][span.status.code]
  const part = span && (span.duration[0] + span.duration[1] / 1e9) * 1000 / time
  console.log(`${name}: ${rows} rows, error ${error ? error.errno : 'none'}; ` +
    (!span ? 'no span' : time < 1000 ? `span ${status}` : `span ${status}, ${part < 0.5 ? 'less than half' : 'all'} of the time`))
}

async function stream (name, ...query) {
  const began = Date.now()
  let [rows, error] = [0, null]
  await new Promise(resolve => connection.query(...query).stream().on('data', () => rows++)
    .on('error', e => { error = e }).on('close', resolve))
  say(name, rows, error, Date.now() - began)
}

async function callback (name, ...query) {
  const began = Date.now()
  await new Promise(resolve => connection.query(...query, (error, rows) => {
    setImmediate(() => { say(name, rows ? rows.length : 0, error, Date.now() - began); resolve() })
  }))
}

async function main () {
  await new Promise(resolve => connection.query('CREATE TABLE n (id INT PRIMARY KEY)', resolve))
  await new Promise(resolve => connection.query('INSERT INTO n VALUES (1), (2), (3), (4), (5), (6), (7), (8)', resolve))
  exporter.reset()
  // Each row is sent at once because it is larger than the server's buffer; the subquery has two rows for id 8, which is error 1242.
  const slow = "SELECT id, SLEEP(0.3), REPEAT('x', 40000) FROM n WHERE id > ? ORDER BY id"
  const fails = "SELECT id, REPEAT('x', 40000), (SELECT 1 UNION ALL SELECT 2 FROM n m WHERE m.id = n.id AND n.id > 7) FROM n ORDER BY id"
  await callback('callback, slow', slow, [0])
  await callback('callback, fails', fails)
  await stream('streamed, slow', slow.replace('?', '0'))
  await stream('streamed, fails', fails)
  await stream('streamed, no rows', slow.replace('?', '9'))
  await stream('streamed, with values', slow, [0])
  process.exit()
}
main().catch(error => { console.log(error); process.exit(1) })
JS
"$cache/mysql9/bin/mysqld" --version | sed 's/.*Ver/MySQL/'
out=$(timeout 120 node main.js "$port") || die "$out"
printf 'instrumentation-mysql2 %s\n%s\n' "$version" "$out"
[ "$out" = 'callback, slow: 8 rows, error none; span unset, all of the time
callback, fails: 0 rows, error 1242; span error
streamed, slow: 8 rows, error none; span unset, less than half of the time
streamed, fails: 7 rows, error 1242; span unset
streamed, no rows: 0 rows, error none; no span
streamed, with values: 8 rows, error none; no span' ] || die 'that has changed'
