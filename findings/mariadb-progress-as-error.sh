#!/usr/bin/env bash
# mariadb-progress-as-error.sh: what two readers of captures make of MariaDB's progress reports. To a client that asks for them, as the
# mariadb client does by default, MariaDB tells every progress_report_time (5 s) how far an ALTER TABLE, LOAD DATA, CHECK or REPAIR TABLE
# has come: a packet that begins like an ERR, with the code 65535, and then the answer. One expects the statement to be shown as what it
# was, long and successful. But:
#
# - tshark 4.0.17 shows each report as an error, "Error 65535" with a text of a few strange bytes. The filter mysql.error_code finds
#   statements that did not fail.
# - pt-query-digest --type tcpdump takes the first report for the end: the statement has "Errors 65535", and its Query_time ends there. So
#   one of ten minutes is one of a few seconds at most. The answer itself is no statement's.
#
# Below, an ALTER TABLE of some seconds runs without the reports (progress_report_time = 0) and with them; a relay writes both captures.
# Run with tshark 4.0.17-0+deb12u3, percona-toolkit 3.2.1-1 and MariaDB 10.11 of the cache with its client (scripts/servers.sh). MariaDB's
# description of the protocol has the packet; neither the manuals nor the issues of the two programs speak of it. Fails if it is
# otherwise. Needs Debian 12 with its packages, Perl and Python 3. Output seen: the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
relay=
trap '[ -z "$relay" ] || kill "$relay" 2>/dev/null || true; "$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23978}
"$scripts/servers.sh" start mariadb1011 "$dir/server" "$port" --progress-report-time=1 >/dev/null
mkdir -p "$dir/program/debs/partial"
cd "$dir/program"
tshark=4.0.17-0+deb12u3
apt-get install -qq -y --download-only --reinstall --no-install-recommends -o Dir::Cache::archives="$PWD/debs" percona-toolkit=3.2.1-1 \
  "tshark=$tshark" "libwireshark16=$tshark" "libwiretap13=$tshark" "libwsutil14=$tshark" "libwireshark-data=$tshark" >log 2>&1 || die "$(tail -5 log)"
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
cat >relay.py <<'PY'
# Hands one connection on to the server, and writes it as tcpdump would: NAME.pcap, and NAME.txt as with -x -nn -q -tttt.
import datetime, selectors, socket, struct, sys, time

CLIENT, SERVER = 0, 1
sent = [1000, 5000]
pcap, text = open(sys.argv[2] + ".pcap", "wb"), open(sys.argv[2] + ".txt", "w")
pcap.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))  # raw IP


def segment(side, data, flags=24):
    ends = [("10.0.0.1", 40000), ("10.0.0.2", 3306)]
    (source, out), (target, to) = ends[side], ends[1 - side]
    tcp = struct.pack(">HHIIBBHHH", out, to, sent[side], sent[1 - side], 0x50, flags, 65535, 0, 0)
    whole = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 1, 0x4000, 64, 6, 0, socket.inet_aton(source), socket.inet_aton(target)) + tcp + data
    now = time.time()
    pcap.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6), len(whole), len(whole)) + whole)
    text.write("%s IP %s.%d > %s.%d: tcp %d\n" % (datetime.datetime.fromtimestamp(now).strftime("%Y-%m-%d %H:%M:%S.%f"), source, out, target, to, len(data)))
    for at in range(0, len(whole), 16):
        text.write("\t0x%04x:  %s\n" % (at, whole[at : at + 16].hex(" ", -2)))
    sent[side] += len(data) + (flags & 2) // 2


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
sides = listener.accept()[0], socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for side, flags in (CLIENT, 2), (SERVER, 18), (CLIENT, 16):
    segment(side, b"", flags)
ready = selectors.DefaultSelector()
for side in CLIENT, SERVER:
    ready.register(sides[side], selectors.EVENT_READ, side)
while True:
    for key, _ in ready.select():
        data = key.fileobj.recv(1400)
        if not data:
            sys.exit()
        segment(key.data, data)
        sides[1 - key.data].sendall(data)
PY
sql() { "$cache/mariadb1011/bin/mysql" "$@"; }
sql -uroot -S "$dir/server/s.sock" gotest -e "CREATE TABLE t (id INT PRIMARY KEY, text VARCHAR(100)) ENGINE=InnoDB;
  INSERT INTO t SELECT seq, REPEAT('x', 60) FROM seq_1_to_600000"
libraries=$(echo "$PWD"/root/usr/lib/*-linux-gnu)
# shellcheck disable=SC2016 # Perl's variables
show='$event->{arg} =~ /ALTER/ && print($event->{Query_time}, " ", $event->{Error_no} || "none")'

look() { # TITLE SECONDS ENGINE
  local began seconds digest error part
  python3 relay.py "$port" "$3" >"$3.port" 2>log &
  relay=$!
  wait_for 30 "$relay" test -s "$3.port" || die "$(cat log)"
  began=$EPOCHREALTIME
  sql --init-command="SET progress_report_time = $2" -h127.0.0.1 -P"$(cat "$3.port")" --skip-ssl -ugotest -psecret gotest \
    -e "ALTER TABLE t ENGINE=$3, ALGORITHM=COPY" >said 2>&1 || die "$(cat said)"
  seconds=$(awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN { print to - from }')
  wait "$relay" || die "$(cat log)"
  relay=
  say "$1: tshark: error codes: $(LD_LIBRARY_PATH=$libraries HOME=$dir root/usr/bin/tshark -r "$3.pcap" -d tcp.port==3306,mysql \
    -Y mysql.error_code -T fields -e mysql.error_code 2>log | sort -u | paste -sd ' ' | sed 's/^$/none/')"
  read -r digest error < <(PERCONA_TOOLKIT_TCP_ERRORS_FILE=errors HOME=$dir perl root/usr/bin/pt-query-digest --no-version-check --no-report \
    --type tcpdump --watch-server 10.0.0.2:3306 --filter "$show" "$3.txt" 2>log) || true
  part=$(awk -v a="$digest" -v b="$seconds" 'BEGIN { print a < b / 2 ? "less than half" : "all" }')
  printf '%s: the client: done in %s s; pt-query-digest: %s s\n' "$1" "$seconds" "$digest" >&2
  say "$1: pt-query-digest: error $error, $part of the time"
}
out=$(look 'no reports' 0 Aria && look 'reports' 1 MyISAM)
say "$out"
[ "$out" = "no reports: tshark: error codes: none
no reports: pt-query-digest: error none, all of the time
reports: tshark: error codes: 65535
reports: pt-query-digest: error 65535, less than half of the time" ] || die 'that has changed'
