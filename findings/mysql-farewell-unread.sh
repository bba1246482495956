#!/usr/bin/env bash
# mysql-farewell-unread.sh: MySQL says why it closes an idle connection: ERR 4031, "The client was disconnected by the server because
# of inactivity. See wait_timeout …", with the packet number 0, since it answers nothing. One expects the application to be told. That
# depends on the client, although the packet has reached each of them:
#
# - npm mysql2 3.24.6: emits an error with the code 4031 and the text.
# - npm mariadb 3.5.4: drops the packet; emits 45009, "socket has unexpectedly been closed", as for a cable that is cut.
# - PyMySQL 1.0.2: takes every packet with the number 0 for a lost connection. The next statement fails with 2013, "Lost connection to
#   MySQL server during query", though the server had hung up before that statement.
#
# So neither of these two messages speaks against wait_timeout; a capture has the server's words. (Debian's mysqlclient, DBD::mysql and
# Ruby's mysql2, all on libmariadb 3.3, report 4031 with the text.)
#
# MySQL 9.7.4 with wait_timeout=1 and the three clients gave the same; here the server is a script. Fails if it is otherwise. Needs
# npm, Node, Python 3 and Debian 12's packages. Output seen: the lines at the end of this file.
set -euo pipefail
dir=$(mktemp -d -t finding.XXXXXX)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
{ npm init -y && npm install --no-audit --no-fund --ignore-scripts mariadb@3.5.4 mysql2@3.24.6 && apt-get download python3-pymysql=1.0.2-2+deb12u1; } >log 2>&1 ||
  { cat log; exit 1; }
dpkg-deb -x python3-pymysql*.deb root
cat >server.py <<'PY'
import socket, time

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)


def packet(number, payload):
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


ok = b"\0\0\0\2\0\0\0"
text = b"The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for configuring this behavior."
while True:
    c, _ = listener.accept()
    c.settimeout(60)
    with c, c.makefile("rb") as file:
        c.sendall(packet(0, b"\x0a8.0.36\0\x09\0\0\0abcdefgh\0\x08\xa2\x2d\2\0\x08\0\x15" + bytes(10) + b"ijklmnopqrst\0mysql_native_password\0"))
        number = 2
        while True:
            head = file.read(4)
            if len(head) < 4:
                break
            payload = file.read(int.from_bytes(head[:3], "little"))
            c.sendall(packet(number, ok))
            number = 1
            if payload.endswith(b"DO 1"):
                time.sleep(0.5)  # MySQL waits for wait_timeout here
                c.sendall(packet(0, b"\xff\xbf\x0f#HY000" + text))
                break
PY
cat >client.js <<'JS'
const [, , name, port] = process.argv
async function main () {
  const options = { host: '127.0.0.1', port: +port, user: 'app', password: '' }
  const connection = await (name === 'mariadb' ? require('mariadb') : require('mysql2/promise')).createConnection(options)
  const said = new Promise(resolve => connection.on('error', resolve))
  await connection.query('DO 1')
  const error = await said
  console.log(`${name}: ${error.errno || error.code} ${error.message.replace(/\(conn.*?\) /, '').slice(0, 60)}`)
  process.exit()
}
main().catch(error => { console.log(error); process.exit(1) })
JS
cat >client.py <<'PY'
import select, sys

sys.path.insert(0, "root/usr/lib/python3/dist-packages")
import pymysql

connection = pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user="app", password="")
cursor = connection.cursor()
cursor.execute("DO 1")
select.select([connection._sock], [], [], 60)  # the server's packet is here
try:
    cursor.execute("DO 2")
except pymysql.Error as error:
    print("PyMySQL %s: %s %s" % (pymysql.__version__, *error.args))
PY
/usr/bin/python3 server.py >port &
server=$!
for _ in {1..300}; do
  if [ -s port ]; then break; fi
  sleep 0.1
done
port=$(cat port)
out=$(timeout 120 node client.js mysql2 "$port"; timeout 120 node client.js mariadb "$port"; timeout 120 /usr/bin/python3 client.py "$port")
printf '%s\n' "$out"
[ "$out" = 'mysql2: 4031 The client was disconnected by the server because of inactiv
mariadb: 45009 socket has unexpectedly been closed
PyMySQL 1.0.2: 2013 Lost connection to MySQL server during query' ] || {
  echo 'that has changed' >&2
  exit 1
}
