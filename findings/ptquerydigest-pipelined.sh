#!/usr/bin/env bash
# ptquerydigest-pipelined.sh: pt-query-digest --type tcpdump gives the answer of one statement to another, if a client sends the second
# before it has the first one's answer. npm's mariadb does so by default (pipelining), and MySQL's protocol allows it: the answers come
# in order. One expects the errors and times of the digest to be those of the statements beside them. But:
#
# - The statement that is answered is not in the digest at all.
# - Its answer, with its error and its time, is that of the statement behind it, which has no error.
# - The user of the session is forgotten from then on, and its Thread_id is made up.
#
# The manual knows wrong times only of packets that the capture dropped; here it has all. The sign: on stderr "TCP session … had errors",
# and in the file that it names "no server OK to previous command".
#
# Run with percona-toolkit 3.2.1-1 and npm's mariadb 3.5.4; the server is a script that writes down what it reads and sends, as tcpdump
# would. Fails if it is otherwise. Needs npm, Node, Python 3, Perl and Debian 12's packages. Output seen: at the end of this file.
set -euo pipefail
version=3.2.1-1
dir=$(mktemp -d -t finding.XXXXXX)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
{ npm init -y && npm install --no-audit --no-fund --ignore-scripts mariadb@3.5.4 && apt-get download "percona-toolkit=$version"; } >log 2>&1 ||
  { cat log; exit 1; }
dpkg-deb -x percona-toolkit*.deb root
cat >server.py <<'PY'
import datetime, socket, struct, sys, time

CLIENT, SERVER = 0, 1


class Capture:  # as tcpdump -x -nn -q -tttt writes it
    def __init__(self, name):
        self.file, self.sent = open(name, "w"), [1000, 5000]
        for side, flags in (CLIENT, 2), (SERVER, 18), (CLIENT, 16):
            self.segment(side, b"", flags)

    def segment(self, side, data, flags=24):
        ends = [("10.0.0.1", 40000), ("10.0.0.2", 3306)]
        (source, out), (target, to) = ends[side], ends[1 - side]
        tcp = struct.pack(">HHIIBBHHH", out, to, self.sent[side], self.sent[1 - side], 0x50, flags, 65535, 0, 0)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 1, 0x4000, 64, 6, 0, socket.inet_aton(source), socket.inet_aton(target))
        now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")
        self.file.write("%s IP %s.%d > %s.%d: tcp %d\n" % (now, source, out, target, to, len(data)))
        whole = ip + tcp + data
        for at in range(0, len(whole), 16):
            self.file.write("\t0x%04x:  %s\n" % (at, whole[at : at + 16].hex(" ", -2)))
        self.file.flush()
        self.sent[side] += len(data) + (flags & 2) // 2


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)


def packet(number, payload):
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


plugin = b"mysql_native_password\0"
greeting = b"\x0a8.0.36\0\x09\0\0\0abcdefgh\0\x08\xa2\x2d\2\0\x08\0\x15" + bytes(10) + b"ijklmnopqrst\0" + plugin
duplicate = b"\xff\x26\x04#23000Duplicate entry '1' for key 'orders.PRIMARY'"
for name in "in-turn", "pipelined":
    connection, _ = listener.accept()
    connection.settimeout(60)
    capture = Capture(name)

    def send(number, payload):
        connection.sendall(packet(number, payload))
        capture.segment(SERVER, packet(number, payload))

    with connection, connection.makefile("rb") as file:
        send(0, greeting)
        number, held = 2, []
        while len(head := file.read(4)) == 4:
            payload = file.read(int.from_bytes(head[:3], "little"))
            capture.segment(CLIENT, head + payload)
            held.append(duplicate if payload.startswith(b"\3INSERT") else b"\0\1\0\2\0\0\0")
            if name == "pipelined" and payload.startswith(b"\3INSERT"):
                continue  # the INSERT waits for a lock until the next statement is here, too
            for answer in held:
                time.sleep(0.1)
                send(number, answer)
            number, held = 1, []
PY
cat >client.js <<'JS'
const [, , port, pipelining] = process.argv
async function main () {
  const connection = await require('mariadb').createConnection({ host: '127.0.0.1', port: +port, user: 'app', pipelining: pipelining === 'pipelined' })
  const insert = connection.query('INSERT INTO orders VALUES (1)').then(() => 'done', error => error.errno)
  await new Promise(resolve => setTimeout(resolve, 50))
  const update = connection.query('UPDATE customers SET seen = 1').then(() => 'done', error => error.errno)
  console.log('the client: INSERT %s, UPDATE %s', await insert, await update)
  process.exit()
}
main().catch(error => { console.log(error); process.exit(1) })
JS
/usr/bin/python3 server.py >port &
server=$!
for _ in {1..300}; do
  if [ -s port ]; then break; fi
  sleep 0.1
done
# shellcheck disable=SC2016 # Perl's variables
show='$event->{arg} =~ /INSERT|UPDATE/ && print(" ", substr($event->{arg}, 0, 6), " ", $event->{Error_no} || "done", " of ", $event->{user} || "nobody", " ", $event->{Thread_id})'
out=
for name in in-turn pipelined; do
  client=$(timeout 120 node client.js "$(cat port)" "$name")
  digest=$(PERCONA_TOOLKIT_TCP_ERRORS_FILE=errors HOME=$dir perl root/usr/bin/pt-query-digest --no-version-check --no-report --type tcpdump \
    --filter "$show" "$name" 2>log) || { cat log; exit 1; }
  out+="$name: $client; the digest:$digest"$'\n'
done
perl root/usr/bin/pt-query-digest --version
printf '%s' "$out"
[ "$out" = 'in-turn: the client: INSERT 1062, UPDATE done; the digest: INSERT 1062 of app 9 UPDATE done of app 9
pipelined: the client: INSERT 1062, UPDATE done; the digest: UPDATE 1062 of nobody 4294967296
' ] || {
  echo 'that has changed' >&2
  exit 1
}
grep -m1 'no server OK to previous command' errors
