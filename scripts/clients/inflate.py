"""inflate.py PORT CAPTURE: the packets in a capture (Ethernet, IPv4) of compressed connections, one line each: connection, side, length,
number. Of a side whose last packet is not whole, ? and ?. It is a second opinion: tshark 4.0 takes what is deflated in a frame for a packet."""
import struct, sys, zlib

port, data = int(sys.argv[1]), open(sys.argv[2], "rb").read()
order = "<" if data[:1] in b"\xd4\x4d" else ">"


class Side:
    def __init__(self, name):
        self.name, self.raw, self.plain, self.framed, self.next, self.early = name, b"", b"", False, None, {}

    def take(self, seq, body):
        """Takes a segment; one that came too early waits."""
        self.early[seq] = max(body, self.early.get(seq, b""), key=len)
        for seq in sorted(self.early, key=lambda s: (s - self.next + 2**31) % 2**32):
            skip = (self.next - seq) % 2**32
            if skip >= 2**31:
                return
            body = self.early.pop(seq)[skip:]
            self.next, self.raw = (self.next + len(body)) % 2**32, self.raw + body

    def packets(self):
        if not self.framed:
            self.plain, self.raw = self.plain + self.raw, b""
        while self.framed and len(self.raw) >= 7:
            size, whole = int.from_bytes(self.raw[:3], "little"), int.from_bytes(self.raw[4:7], "little")
            if len(self.raw) < 7 + size:
                break
            body, self.raw = self.raw[7 : 7 + size], self.raw[7 + size :]
            self.plain += zlib.decompress(body) if whole else body
        while len(self.plain) >= 4:
            size = int.from_bytes(self.plain[:3], "little")
            if len(self.plain) < 4 + size:
                return
            packet, self.plain = self.plain[: 4 + size], self.plain[4 + size :]
            yield size, packet[3], packet[4:]


connections, at = {}, 24
while at + 16 <= len(data):
    caught = struct.unpack_from(order + "I", data, at + 8)[0]
    ip = data[at + 16 + 14 : at + 16 + caught]
    at += 16 + caught
    tcp = ip[(ip[0] & 15) * 4 : struct.unpack_from(">H", ip, 2)[0]]
    a, b, seq = struct.unpack_from(">HHI", tcp)
    c = connections.setdefault(b if a == port else a, {"server": Side("server"), "client": Side("client"), "number": 0, "flags": [], "over": False})
    s = c["server" if a == port else "client"]
    body = tcp[(tcp[12] >> 4) * 4 :]
    if tcp[13] & 2:
        s.next = seq + 1
        continue
    if not body:
        continue
    if s.next is None:
        if c["client"].next is None:  # of an earlier connection, whose beginning is in the capture before
            continue
        s.next = seq  # a busy machine: the server's SYN is not in the capture
    s.take(seq, body)
    if not c["number"]:
        c["number"] = 1 + max(o["number"] for o in connections.values())
    for size, number, payload in s.packets():
        print(c["number"], s.name, size, number)
        if c["over"]:
            continue
        if len(c["flags"]) < 2:  # the greeting's and the login's capabilities: both must have CLIENT_COMPRESS
            flags = payload[payload.index(0) + 14 :] if s.name == "server" else payload
            c["flags"].append(flags[0] & 0x20)
        elif s.name == "server" and payload[:1] == b"\0":  # the OK that ends the login
            c["over"] = True
            for side in ("server", "client") if all(c["flags"]) else ():
                c[side].framed, c[side].raw = True, c[side].plain
                c[side].plain = b""
for c in connections.values():
    for s in (c["server"], c["client"]):
        if s.raw or s.plain:
            print(c["number"], s.name, "?", "?")
