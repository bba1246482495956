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
# The connections are numbered in the order in which they speak here, and of their SYN there: compare the sets.
a, b = ([tuple(l) for l in x.values() if l] for x in (ours, theirs))
missing, more = collections.Counter(b) - collections.Counter(a), collections.Counter(a) - collections.Counter(b)
for what, c in (("only tshark", missing), ("only explain", more)):
    for l in list(c)[:3]:
        print(f"{what}: {len(l)} packets: {l[:12]}…{l[-3:]}")
print(f"{sum(map(len, a))} packets as in tshark" if not missing and not more else "differs from tshark")
sys.exit(bool(missing or more))
