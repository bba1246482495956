#!/usr/bin/env bash
# wireshark-secrets-first.sh: editcap --inject-secrets puts the TLS keys into a capture, so that whoever gets the one file can read it. But
# of the file that it writes, editcap itself, mergecap and reordercap make nothing any more: no slice, no other file format, no
# capture of the other host beside it, not even editcap --discard-all-secrets, which the manual has for taking the keys out again before
# one passes it on. "The capture file being read can't be written as a "pcapng" file", they say, as if one had asked for the wrong
# format. It is one: Wireshark and TShark show the queries in it.
#
# The keys (a Decryption Secrets Block) stand before the interface's description in it, which pcapng allows, and these tools seem to look
# for the interfaces too early. `tshark -r FILE -w NEW` writes the interface first, and with NEW all three work.
#
# Run with wireshark-common and tshark 4.0.17-0+deb12u3 and a TLS 1.3 session of Python's ssl with itself. Fails if it is otherwise.
# Needs Debian 12 with its packages, openssl, and Python 3. Output seen: the lines at the end of this file.
set -euo pipefail
version=4.0.17-0+deb12u3
dir=$(mktemp -d -t finding.XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
cd "$dir"
mkdir -p debs/partial
apt-get install -qq -y --download-only --reinstall --no-install-recommends -o Dir::Cache::archives="$dir/debs" "tshark=$version" "wireshark-common=$version" \
  "libwireshark16=$version" "libwiretap13=$version" "libwsutil14=$version" "libwireshark-data=$version" >log 2>&1 || { cat log; exit 1; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=db -days 2 2>/dev/null
cat >capture.py <<'PY'
import ssl, struct

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


contexts = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
contexts[CLIENT].check_hostname, contexts[CLIENT].verify_mode, contexts[CLIENT].keylog_filename = False, ssl.CERT_NONE, "keys"
contexts[SERVER].load_cert_chain("cert.pem", "key.pem")
inbox = ssl.MemoryBIO(), ssl.MemoryBIO()
outbox = ssl.MemoryBIO(), ssl.MemoryBIO()
ends = [contexts[side].wrap_bio(inbox[side], outbox[side], server_side=side == SERVER) for side in (CLIENT, SERVER)]


def flight(side, step, *argument):
    try:
        getattr(ends[side], step)(*argument)
    except ssl.SSLWantReadError:
        pass
    if data := outbox[side].read():
        inbox[1 - side].write(data)
        segment(side, data)


for side, flags in (CLIENT, 2), (SERVER, 18), (CLIENT, 16):
    segment(side, b"", flags)
plugin = b"mysql_native_password\0"
request = struct.pack("<II", 0x0008AA80, 1 << 24) + b"\x2d" + bytes(23)
greeting = b"\x0a8.0.36\0" + struct.pack("<I", 9) + b"abcdefgh\0\x80\xaa\x2d\2\0\x08\0\x15" + bytes(10) + b"ijklmnopqrst\0" + plugin
segment(SERVER, packet(0, greeting))
segment(CLIENT, packet(1, request))
for side in CLIENT, SERVER, CLIENT, SERVER:
    flight(side, "do_handshake")
flight(CLIENT, "write", packet(2, request + b"app\0\0" + plugin))
flight(SERVER, "write", packet(3, b"\0\0\0\2\0\0\0"))
flight(CLIENT, "write", packet(0, b"\3SELECT 1"))
PY
/usr/bin/python3 capture.py
libraries=$(echo "$dir"/root/usr/lib/*-linux-gnu)
run() { HOME=$dir LD_LIBRARY_PATH=$libraries WIRESHARK_DATA_DIR=$dir/root/usr/share/wireshark "$dir/root/usr/bin/$1" "${@:2}" 2>said; }
shown() { run tshark -r "$1" -T fields -e mysql.query | paste -sd ' ' | sed 's/^ *//; s/ *$//'; }
cat >blocks.py <<'PY'
import struct, sys

data, kinds = open(sys.argv[1], "rb").read(), []
while not kinds or kinds[-1] != 6:  # up to the first packet
    kind, length = struct.unpack_from("<II", data)
    kinds.append(kind)
    data = data[length:]
print(*({1: "interface", 10: "secrets"}.get(kind, "header") for kind in kinds[:-1]))
PY
blocks() { /usr/bin/python3 blocks.py "$1"; }
try() { # NAME PROGRAM ARGUMENT...
  if run "${@:2}" >/dev/null; then printf '  %s: ok\n' "$1"; else printf '  %s: %s\n' "$1" "$(sed -n "s/.*: The capture.*can't/can't/p" said)"; fi
}
run editcap --inject-secrets tls,keys c.pcap injected.pcapng
run tshark -r injected.pcapng -w again.pcapng
run editcap --version | sed -n 1p
for file in injected again; do
  printf '%s: %s; TShark shows: %s\n' $file "$(blocks $file.pcapng)" "$(shown $file.pcapng)"
  try 'editcap, a slice' editcap -r $file.pcapng new.pcapng 1-5
  try 'editcap, without the secrets' editcap --discard-all-secrets $file.pcapng new.pcapng
  try mergecap mergecap -w new.pcapng $file.pcapng $file.pcapng
  try reordercap reordercap $file.pcapng new.pcapng
done >out
cat out
[ "$(cat out)" = 'injected: header secrets interface; TShark shows: SELECT 1
  editcap, a slice: can'"'"'t be written as a "pcapng" file.
  editcap, without the secrets: can'"'"'t be written as a "pcapng" file.
  mergecap: can'"'"'t be written as a "pcapng" file.
  reordercap: can'"'"'t be written as a "pcapng" file.
again: header interface secrets; TShark shows: SELECT 1
  editcap, a slice: ok
  editcap, without the secrets: ok
  mergecap: ok
  reordercap: ok' ] || {
  echo 'that has changed' >&2
  exit 1
}
