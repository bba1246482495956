#!/usr/bin/env bash
# sphinxsearch-sphinxql.sh: Debian's sphinxsearch is queried with MySQL clients. Most of what one looks at to debug a MySQL connection
# means something else here:
#
# - Connection id: every greeting says 1, and SELECT CONNECTION_ID() says 0, so connections cannot be told apart by it.
# - Status flags: 0 in every OK, in BEGIN … COMMIT and outside. AUTOCOMMIT and IN_TRANS are never set, so a pool or proxy that trusts
#   them sees a connection with autocommit off on which no transaction is ever open.
# - Error codes: a duplicate id is 1064/42000, MySQL's code for a syntax error, and not 1062. The text of an ERR ends in a NUL.
# - An unknown variable (SELECT @@session.tx_isolation, say) is no error: the answer is a column of type INT that holds the empty string.
#   A client that converts by the column's type fails on a row that came whole (PyMySQL 1.0.2: ValueError).
# - COM_INIT_DB of any name is OK, and SHOW WARNINGS, if there are none, is answered by an OK in place of a result.
#
# Run with sphinxsearch 2.2.11-8+b1, one empty real-time index, and a client of a few lines. Fails if it is otherwise. Needs Debian 12
# with its packages, and Python 3. Output seen: the lines at the end of this file.
set -euo pipefail
version=2.2.11-8+b1
dir=$(mktemp -d -t finding.XXXXXX)
daemon=
trap '[ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true; rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
mkdir -p debs/partial data
apt-get install -qq -y --download-only --reinstall --no-install-recommends -o Dir::Cache::archives="$dir/debs" "sphinxsearch=$version" >log 2>&1 ||
  { cat log; exit 1; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >searchd.conf <<CONF
index t
{
  type = rt
  path = $dir/data/t
  rt_field = body
  rt_attr_uint = n
}
searchd
{
  listen = 127.0.0.1:$port:mysql41
  pid_file = $dir/data/pid
  log = $dir/data/log
  binlog_path =
  workers = threads
}
CONF
LD_LIBRARY_PATH=$(echo "$dir"/root/usr/lib/*-linux-gnu) "$dir/root/usr/bin/searchd" -c searchd.conf --console >log 2>&1 &
daemon=$!
cat >client.py <<'PY'
import socket, struct, sys, time


class Connection:
    def __init__(self):
        for _ in range(300):
            try:
                self.socket = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60)
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        self.file = self.socket.makefile("rb")
        greeting = self.read()
        self.id = struct.unpack_from("<I", greeting, greeting.index(b"\0") + 1)[0]
        self.send(1, struct.pack("<II", 0x8200, 1 << 24) + b"\x21" + bytes(23) + b"app\0\0")
        self.read()

    def read(self):
        head = self.file.read(4)
        return self.file.read(int.from_bytes(head[:3], "little"))

    def send(self, number, payload):
        self.socket.sendall(len(payload).to_bytes(3, "little") + bytes([number]) + payload)

    def ask(self, command):  # the first packet, or of a result with one column and one row its type and value
        self.send(0, command)
        first = self.read()
        if first[:1] != b"\1":
            return first
        column, _, row, _ = (self.read() for _ in range(4))
        return column[-6], row[1:]  # the type stands before flags, decimals and two bytes of filler


a, b = Connection(), Connection()
print("connection ids", a.id, b.id, "and", a.ask(b"\3SELECT CONNECTION_ID()")[1].decode())
flags = lambda ok: "%d" % struct.unpack_from("<H", ok, 3)
print("status of OK", flags(a.ask(b"\3COMMIT")), "in transaction", flags(a.ask(b"\3BEGIN")), end=" ")
print("inserting", flags(a.ask(b"\3INSERT INTO t (id, body, n) VALUES (1, 'x', 1)")), "after it", flags(a.ask(b"\3COMMIT")))
error = a.ask(b"\3INSERT INTO t (id, body, n) VALUES (1, 'x', 1)")
print("duplicate id", struct.unpack_from("<H", error, 1)[0], error[9:])
print("unknown variable: type %d, value %r" % a.ask(b"\3SELECT @@session.tx_isolation"))
print("no such database", a.ask(b"\2nowhere")[0], "SHOW WARNINGS", a.ask(b"\3SHOW WARNINGS")[0])
PY
out=$(timeout 120 /usr/bin/python3 client.py "$port") || { cat log; exit 1; }
printf 'sphinxsearch %s\n%s\n' "$version" "$out"
[ "$out" = 'connection ids 1 1 and 0
status of OK 0 in transaction 0 inserting 0 after it 0
duplicate id 1064 b"duplicate id '"'1'"'\x00"
unknown variable: type 3, value b'"''"'
no such database 0 SHOW WARNINGS 0' ] || {
  echo 'that has changed' >&2
  exit 1
}
