#!/usr/bin/env bash
# tshark-tls-in-one-segment.sh: if a capture has MySQL's SSLRequest and the ClientHello behind it in one TCP segment, the TShark of
# Debian 12 decrypts nothing, although it has the keys (tls.keylog_file). One expects no difference: where a stream is cut is up to
# TCP, a proxy that forwards what it has read joins the two, and so does an interface that merges segments before they are captured.
# But the whole segment is read as MySQL's, and TLS is looked for from the next one on: the session has no ClientHello then, so
# nothing in the key log belongs to it, and no word is said. The same bytes in two segments: login and query are shown.
#
# Both captures are written below, from a TLS 1.3 session of Python's ssl with itself. Run with tshark 4.0.17-0+deb12u3. Fails if it is
# otherwise. Needs Debian 12 with its packages, openssl, and Python 3. Output seen: at the end of this file.
set -euo pipefail
version=4.0.17-0+deb12u3
dir=$(mktemp -d -t finding.XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
mkdir -p debs/partial
apt-get install -qq -y --download-only --reinstall --no-install-recommends -o Dir::Cache::archives="$dir/debs" "tshark=$version" \
  "libwireshark16=$version" "libwiretap13=$version" "libwsutil14=$version" "libwireshark-data=$version" >log 2>&1 || { cat log; exit 1; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=db -days 2 2>/dev/null
cat >capture.py <<'PY'
import ssl, struct

CLIENT, SERVER = 0, 1


class Capture:
    def __init__(self, name):
        self.file, self.sent, self.clock = open(name, "wb"), [1000, 5000], 0
        self.file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))  # raw IP
        for side, flags in (CLIENT, 2), (SERVER, 18), (CLIENT, 16):
            self.segment(side, b"", flags)

    def segment(self, side, data, flags=0x18):
        ports = (40000, 3306) if side == CLIENT else (3306, 40000)
        tcp = struct.pack(">HHIIBBHHH", *ports, self.sent[side], self.sent[1 - side], 0x50, flags, 65535, 0, 0)
        ip = struct.pack(">BBHHHBBHBBBBBBBB", 0x45, 0, 40 + len(data), 1, 0x4000, 64, 6, 0, 10, 0, 0, 1 + side, 10, 0, 0, 2 - side)
        self.file.write(struct.pack("<IIII", 1700000000, self.clock, 40 + len(data), 40 + len(data)) + ip + tcp + data)
        self.sent[side] += len(data) + (flags & 2) // 2
        self.clock += 1000


def packet(number, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
client.check_hostname, client.verify_mode, client.keylog_filename = False, ssl.CERT_NONE, "keys"
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain("cert.pem", "key.pem")
to_client, to_server, from_client, from_server = (ssl.MemoryBIO() for _ in range(4))
c, s = client.wrap_bio(to_client, from_client), server.wrap_bio(to_server, from_server, server_side=True)
flights = []


def flight(side, step, *argument):
    try:
        step(*argument)
    except ssl.SSLWantReadError:
        pass
    data = (from_client, from_server)[side].read()
    (to_server, to_client)[side].write(data)
    flights.append((side, data))


plugin = b"mysql_native_password\0"
request = struct.pack("<II", 0x0008AA80, 1 << 24) + b"\x2d" + bytes(23)
flight(CLIENT, c.do_handshake)
flight(SERVER, s.do_handshake)
c.do_handshake()
flight(CLIENT, c.write, packet(2, request + b"app\0\0" + plugin))
s.do_handshake()
flight(SERVER, s.write, packet(3, b"\0\0\0\2\0\0\0"))
flight(CLIENT, c.write, packet(0, b"\3SELECT 1"))
greeting = b"\x0a8.0.36\0" + struct.pack("<I", 9) + b"abcdefgh\0\x80\xaa\x2d\2\0\x08\0\x15" + bytes(10) + b"ijklmnopqrst\0" + plugin
for name in "apart", "joined":
    capture = Capture(name + ".pcap")
    capture.segment(SERVER, packet(0, greeting))
    if name == "apart":
        capture.segment(CLIENT, packet(1, request))
        rest = flights
    else:
        capture.segment(CLIENT, packet(1, request) + flights[0][1])
        rest = flights[1:]
    for side, data in rest:
        capture.segment(side, data)
    capture.file.close()
PY
/usr/bin/python3 capture.py
libraries=$(echo "$dir"/root/usr/lib/*-linux-gnu)
tshark() { HOME=$dir LD_LIBRARY_PATH=$libraries WIRESHARK_DATA_DIR=$dir/root/usr/share/wireshark "$dir/root/usr/bin/tshark" "$@" 2>log || { cat log >&2; exit 1; }; }
tshark --version | sed -n 1p
out=
for name in apart joined; do
  queries=$(tshark -r $name.pcap -o tls.keylog_file:keys -T fields -e mysql.user -e mysql.query | tr -s '\t\n' ' ')
  out+="$name:$queries"$'\n'
done
printf '%s' "$out"
# Seen:
# apart: app SELECT 1
# joined:
[ "$out" = $'apart: app SELECT 1 \njoined: \n' ] || {
  echo 'that has changed' >&2
  exit 1
}
