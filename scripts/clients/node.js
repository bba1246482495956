// node.js CLIENT HOST PORT: lawful use by npm's mysql2, mysql or mariadb. TLS=1, COMPRESS=1.
const [, , client, host, port] = process.argv;
const account = { host, port: +port, user: 'gotest', password: 'secret', database: 'gotest' };
if (process.env.TLS) account.ssl = { rejectUnauthorized: false };
if (process.env.COMPRESS) account.compress = true;
const expectError = async (p) => { let ok = false; try { await p; ok = true; } catch (e) { } if (ok) throw new Error('no error'); };
async function mysql2() {
  const c = await require('mysql2/promise').createConnection(account);
  await c.query('CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)');
  for (const n of [1, 100, 100000]) await c.execute('INSERT INTO t (v) VALUES (?)', ['x'.repeat(n)]);
  await Promise.all([c.query('SELECT 1'), c.execute('SELECT ?', [2]), c.query('SELECT 3')]); // a queue
  await expectError(c.query('SELECT FROM WHERE'));
  await c.ping(); await c.changeUser(account); await c.end();
}
async function mysql() {
  const c = require('mysql').createConnection(account);
  const q = (s, v) => new Promise((y, n) => c.query(s, v, (e, r) => e ? n(e) : y(r)));
  await new Promise((y) => c.connect((e) => { if (e && e.errno !== 1251) throw e; y(e); })).then(async (e) => {
    if (e) return; // it does not know caching_sha2_password
    await q('SELECT 1'); await Promise.all([q('SELECT ?', [2]), q('SELECT 3')]); await expectError(q('SELECT FROM WHERE'));
    await new Promise((y) => c.end(y));
  });
}
async function mariadb() {
  const c = await require('mariadb').createConnection({ ...account, allowPublicKeyRetrieval: true });
  await c.query('CREATE TEMPORARY TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)');
  await c.batch('INSERT INTO t (v) VALUES (?)', [...Array(300).keys()].map((i) => ['x'.repeat(i)]));
  await Promise.all([...Array(30).keys()].map((i) => c.query('SELECT ' + i))); // pipelined
  await Promise.all([c.execute('SELECT ?', [1]), c.execute('SELECT ?', [2]), c.query('SELECT 3')]);
  await expectError(c.query('SELECT FROM WHERE'));
  await c.end();
}
({ mysql2, mysql, mariadb })[client]().then(() => process.exit(0), (e) => { console.error(e); process.exit(1); });
