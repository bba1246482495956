"""compare.py SERVER_PORT PACKETS TSHARK: explain's packets against tshark's, each direction of each connection by itself.

PACKETS: explain -packets -rows -json. TSHARK: fields tcp.stream, tcp.srcport, mysql.packet_length, mysql.packet_number."""
import collections, json, sys

port, ours, theirs = sys.argv[1], collections.defaultdict(list), collections.defaultdict(list)
for line in open(sys.argv[2]):
    o = json.loads(line)
    if "cause" not in o:
        ours[o["connection"], o["from"]].append((o["bytes"], o["sequence_first"]))
for line in open(sys.argv[3]):
    stream, source, lengths, numbers = line.rstrip("\n").split("\t")
    side = "server" if source == port else "client"
    theirs[int(stream), side] += zip(map(int, lengths.split(",")), map(int, numbers.split(",")))
# tshark 4.0 does not decrypt a connection whose SSLRequest and ClientHello came in one segment, as a proxy may send them.
blind = {stream for (stream, side), l in theirs.items() if side == "client" and l == [(32, 1)]}
theirs = {k: l for k, l in theirs.items() if k[0] not in blind}
# The connections are numbered in the order in which they speak here, and of their SYN there: compare the sets.
a, b = ([tuple(l) for l in x.values() if l] for x in (ours, theirs))
missing, more = collections.Counter(b) - collections.Counter(a), collections.Counter(a) - collections.Counter(b)
same = not missing and more.total() == 2 * len(blind)
if not same:
    for what, c in (("only tshark", missing), ("only explain", more)):
        for l in list(c)[:3]:
            print(f"{what}: {len(l)} packets: {l[:12]}…{l[-3:]}")
note = f" ({len(blind)} connections that it cannot decrypt)" if blind else ""
print(f"{sum(map(len, b))} packets as in tshark{note}" if same else "differs from tshark")
sys.exit(not same)
