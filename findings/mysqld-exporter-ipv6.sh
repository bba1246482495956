#!/usr/bin/env bash
# mysqld-exporter-ipv6.sh: Prometheus' mysqld_exporter counts connections by the machine that they come from
# (mysql_info_schema_processlist_processes_by_host, with --collect.info_schema.processlist), and takes for the machine what stands before
# the first colon. One expects a line for each address. But with IPv6 that is
#
# - the first 16 bits: the whole internet's 2001:… is one client_host, "2001". Who holds the connections cannot be seen, and an alert for
#   one client that has too many adds up those of strangers.
# - nothing, for ::1: it is "unknown", as is a thread that has no client.
#
# SHOW PROCESSLIST on the server has the whole addresses.
#
# Below, the clients' addresses come from PROXY headers, which MariaDB takes (proxy_protocol_networks). Run with mysqld_exporter 0.14.0
# (Debian 12; the source of August 2026 has the same line) and MariaDB 10.11 of the cache (scripts/servers.sh: exporter, mariadb1011). Its
# README and issues do not speak of it. Fails if it is otherwise. Needs Python 3. Output seen: the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
started=()
stop() {
  local pid
  for pid in "${started[@]}"; do { kill "$pid" && wait "$pid"; } 2>/dev/null || true; done
  "$scripts/servers.sh" stop "$dir/server" || true
  rm -rf "$dir"
}
trap stop EXIT
port=${PORT:-23980}
"$scripts/servers.sh" fetch exporter >/dev/null
"$scripts/servers.sh" start mariadb1011 "$dir/server" "$port" --proxy-protocol-networks=127.0.0.1 --skip-name-resolve >/dev/null
mkdir "$dir/program"
cd "$dir/program"
cat >clients.py <<'PY'
import hashlib, socket, struct, sys, time


def sha1(*parts):
    return hashlib.sha1(b"".join(parts)).digest()


def packet(sock):
    data = b""
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:3], "little"):
        data += sock.recv(4096) or sys.exit("closed")
    return data[4:]


def connect(address):
    sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    kind, server = ("TCP6", "2001:db8::1") if ":" in address else ("TCP4", "192.0.2.9")
    sock.sendall(f"PROXY {kind} {address} {server} 40000 3306\r\n".encode())
    greeting = packet(sock)
    at = greeting.index(b"\0") + 5
    salt = greeting[at : at + 8] + greeting[at + 27 : at + 39]
    inner = sha1(b"secret")
    proof = bytes(a ^ b for a, b in zip(inner, sha1(salt, sha1(inner))))
    login = struct.pack("<II", 0x0008A200, 1 << 24) + b"\x2d" + bytes(23) + b"gotest\0\x14" + proof + b"mysql_native_password\0"
    sock.sendall(struct.pack("<I", len(login))[:3] + b"\1" + login)
    if packet(sock)[0] != 0:
        sys.exit("no login")
    return sock


connections = [connect(address) for address in sys.argv[2:]]
print("ready", flush=True)
time.sleep(120)
PY
python3 clients.py "$port" 192.0.2.1 192.0.2.2 2001:db8:1::10 2001:db8:1::10 2001:67c:2::20 ::1 >clients 2>&1 &
started+=($!)
wait_for 30 $! grep -q ready clients || die "$(cat clients)"
export DATA_SOURCE_NAME="gotest:secret@(127.0.0.1:$port)/"
"$cache/exporter/bin/mysqld_exporter" --web.listen-address="127.0.0.1:$((port - 100))" --collect.info_schema.processlist >log 2>&1 &
started+=($!)
scrape() { python3 -c "import urllib.request as u; print(u.urlopen('http://127.0.0.1:$((port - 100))/metrics').read().decode())" >metrics; }
wait_for 30 $! scrape || die "$(tail -5 log)"
printf 'mysqld_exporter %s\n' "$(cat "$cache/exporter/version")"
out="server: $("$cache/mariadb1011/bin/mysql" -uroot -S "$dir/server/s.sock" -N -e "
  SELECT CONCAT(address, '=', COUNT(*)) FROM (SELECT LEFT(host, CHAR_LENGTH(host) - 6) AS address FROM information_schema.processlist
    WHERE host LIKE '%:40000') AS clients GROUP BY address ORDER BY address" | paste -sd ' ')
exporter: $(sed -n 's/^mysql_info_schema_processlist_processes_by_host{client_host="\([^"]*\)"} /\1=/p' metrics | paste -sd ' ')"
say "$out"
[ "$out" = "server: 192.0.2.1=1 192.0.2.2=1 2001:67c:2::20=1 2001:db8:1::10=2 ::1=1
exporter: 192.0.2.1=1 192.0.2.2=1 2001=3 unknown=1" ] || die 'that has changed'
