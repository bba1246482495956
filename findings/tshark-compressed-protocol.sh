#!/usr/bin/env bash
# tshark-compressed-protocol.sh: in a capture of MySQL's compressed protocol (--compress, compress=true) the TShark of Debian 12 shows
# short statements, and of long ones nothing that is true. It reads the headers of the compressed frames, and those that are stored
# because they have less than 50 bytes, but it does not inflate the others: it takes the first bytes of the zlib stream for a packet.
# One expects it to say so. But the packet is shown with a length, a number and a command like any other, and at best with an
# "unknown command"; the statement is not in mysql.query, so whoever filters for it finds that the client never sent it.
#
# The sign: a zlib stream mostly begins with 78 9c, so the shown Packet Length modulo 65536 is 40056 (9c78), here 892024.
#
# The capture is written below: a login, a short statement (stored) and a long one (deflated). Run with tshark 4.0.17-0+deb12u3.
# Fails if it is otherwise. Needs Debian 12 with its packages, and Python 3. Output seen: at the end of this file.
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
cat >capture.py <<'PY'
import struct, zlib

file = open("c.pcap", "wb")
file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))  # raw IP
sent, clock = [1000, 5000], 0
CLIENT, SERVER = 0, 1


def segment(side, data, flags=0x18):
    global clock
    ports = (40000, 3306) if side == CLIENT else (3306, 40000)
    tcp = struct.pack(">HHIIBBHHH", *ports, sent[side], sent[1 - side], 0x50, flags, 65535, 0, 0)
    ip = struct.pack(">BBHHHBBHBBBBBBBB", 0x45, 0, 40 + len(data), 1, 0x4000, 64, 6, 0, 10, 0, 0, 1 + side, 10, 0, 0, 2 - side)
    file.write(struct.pack("<IIII", 1700000000, clock, 40 + len(data), 40 + len(data)) + ip + tcp + data)
    sent[side] += len(data) + (flags & 2) // 2
    clock += 1000


def packet(number, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


def frame(number, packets):
    if len(packets) < 50:
        return struct.pack("<I", len(packets))[:3] + bytes([number, 0, 0, 0]) + packets
    small = zlib.compress(packets)
    return struct.pack("<I", len(small))[:3] + bytes([number]) + struct.pack("<I", len(packets))[:3] + small


segment(CLIENT, b"", 2)
segment(SERVER, b"", 18)
segment(CLIENT, b"", 16)
plugin = b"mysql_native_password\0"
greeting = b"\x0a8.0.36\0" + struct.pack("<I", 9) + b"abcdefgh\0\xa0\xa2\x2d\2\0\x08\0\x15" + bytes(10) + b"ijklmnopqrst\0" + plugin
segment(SERVER, packet(0, greeting))
segment(CLIENT, packet(1, struct.pack("<II", 0x0008A2A0, 1 << 24) + b"\x2d" + bytes(23) + b"app\0\0" + plugin))
ok = b"\0\0\0\2\0\0\0"
segment(SERVER, packet(2, ok))
for statement in b"DO 1", b"DO " + b",".join(b"%d" % i for i in range(60)):
    segment(CLIENT, frame(0, packet(0, b"\3" + statement)))
    segment(SERVER, frame(1, packet(1, ok)))
PY
/usr/bin/python3 capture.py
libraries=$(echo "$dir"/root/usr/lib/*-linux-gnu)
tshark() { HOME=$dir LD_LIBRARY_PATH=$libraries WIRESHARK_DATA_DIR=$dir/root/usr/share/wireshark "$dir/root/usr/bin/tshark" "$@" 2>log || { cat log >&2; exit 1; }; }
tshark --version | sed -n 1p
out=$(tshark -r c.pcap -Y 'tcp.dstport == 3306 && frame.number > 6' -T fields -E separator=' ' -e frame.number -e mysql.packet_length -e mysql.command -e mysql.query)
printf 'frame, packet length, command, query:\n%s\n' "$out"
# Seen:
# 7 5 3 DO 1
# 9 892024 187
[[ $out =~ ^7\ 5\ 3\ DO\ 1$'\n'9\ ([0-9]+)\ ([0-9]+)\ *$ && $((BASH_REMATCH[1] % 65536)) = 40056 && ${BASH_REMATCH[2]} != 3 ]] || {
  echo 'that has changed' >&2
  exit 1
}
