// A server made of npm's mysql2: one row for each query.
const mysql = require('mysql2');
const server = mysql.createServer();
server.listen(Number(process.argv[2]), '127.0.0.1');
server.on('connection', (conn) => {
  conn.on('error', () => {});
  conn.serverHandshake({
    protocolVersion: 10, serverVersion: '8.0.11', connectionId: 1, statusFlags: 2, characterSet: 33,
    capabilityFlags: 0xf7ff & ~0x800 & ~0x20, authCallback: (params, cb) => cb(null),
  });
  conn.on('query', () => {
    conn.writeTextResult([{ a: 1 }], [{ catalog: 'def', schema: '', table: '', orgTable: '', name: 'a', orgName: 'a', characterSet: 63, columnLength: 1, columnType: 3, flags: 0, decimals: 0 }]);
  });
});
