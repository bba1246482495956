"""mangle.py WHAT PORT IN.pcap OUT.pcap: what networks and capture buffers do to a capture (Ethernet, IPv4), the same each time.

duplicate: every third segment with bytes comes again, a few packets later. reorder: neighbours are swapped, also a question and its
answer; the times stay in order. lose: segments are missing, none of the first four of a connection and none of the last two. Of those it
prints one line of JSON each: connection (as explain numbers them), side, from, to (offsets in that side's bytes), time."""
import json, random, struct, sys

what, port, source, target = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
data = open(source, "rb").read()
order, ticks = {b"\xd4\xc3\xb2\xa1": ("<", 1e6), b"\x4d\x3c\xb2\xa1": ("<", 1e9)}[data[:4]]
rand = random.Random(4711)
records, at = [], 24
while at + 16 <= len(data):
    sec, frac, caught, _ = struct.unpack_from(order + "IIII", data, at)
    records.append([data[at : at + 8], data[at + 8 : at + 16 + caught], sec + frac / ticks])
    at += 16 + caught


class Segment:
    """TCP of a record: key of the connection, side, sequence number, payload length."""

    def __init__(self, frame):
        ip = frame[8 + 14 :]
        tcp = ip[(ip[0] & 15) * 4 :]
        a, b, self.seq = struct.unpack_from(">HHI", tcp)
        self.side = "server" if a == port else "client"
        self.key = b if self.side == "server" else a
        self.syn = tcp[13] & 2
        self.length = struct.unpack_from(">H", ip, 2)[0] - (ip[0] & 15) * 4 - (tcp[12] >> 4) * 4


segments = [Segment(r[1]) for r in records]
first, number, count, total = {}, {}, {}, {}
for s in segments:
    if s.syn:
        first[s.key, s.side] = s.seq + 1
    if s.length:
        first.setdefault((s.key, s.side), s.seq)  # a busy machine: the SYN is not in the capture
        number.setdefault(s.key, len(number) + 1)
        total[s.key] = total.get(s.key, 0) + 1
bodies, lost = [r[1] for r in records], []
if what == "duplicate":
    out, later = [], []
    for i, body in enumerate(bodies):
        out.append(body)
        if segments[i].length and i % 3 == 0:
            later.append((i + rand.randrange(1, 6), body))
        out += [b for n, b in later if n <= i]
        later = [(n, b) for n, b in later if n > i]
    bodies = out
elif what == "reorder":
    i = 0
    while i + 1 < len(bodies):
        if segments[i].length and not segments[i].syn and not segments[i + 1].syn and rand.random() < 0.3:
            bodies[i], bodies[i + 1] = bodies[i + 1], bodies[i]
            i += 1
        i += 1
elif what == "lose":
    keep = []
    for i, s in enumerate(segments):
        if s.length:
            count[s.key] = count.get(s.key, 0) + 1
        if s.length and 4 < count[s.key] <= total[s.key] - 2 and rand.random() < 0.04:
            start = (s.seq - first[s.key, s.side]) % 2**32
            lost.append({"connection": number[s.key], "side": s.side, "from": start, "to": start + s.length, "time": records[i][2]})
        else:
            keep.append(i)
    records, bodies = [records[i] for i in keep], [bodies[i] for i in keep]
with open(target, "wb") as f:
    f.write(data[:24])
    times = [r[0] for r in records]
    for i, body in enumerate(bodies):
        f.write(times[min(i * len(times) // len(bodies), len(times) - 1)] + body)
for line in lost:
    print(json.dumps(line))
