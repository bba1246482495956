"""compare.py SERVER_PORT PACKETS TSHARK [INFLATED]: explain's packets against tshark's, each direction of each connection by itself.

PACKETS: explain -packets -rows -json. TSHARK: fields tcp.stream, tcp.srcport, mysql.packet_length, mysql.packet_number,
mysql.compressed_packet_length_uncompressed. INFLATED: of compressed connections what inflate.py says: it counts, and tshark is only
asked about frames that are not deflated."""
import collections, json, sys

port, ours, theirs = sys.argv[1], collections.defaultdict(list), collections.defaultdict(list)
for line in open(sys.argv[2]):
    o = json.loads(line)
    if "cause" not in o:
        ours[o["connection"], o["from"]].append((o["bytes"], o["sequence_first"]))
for line in open(sys.argv[3]):
    stream, source, lengths, numbers, inflated = line.rstrip("\n").split("\t")
    if len(sys.argv) > 4 and inflated.strip("0,"):
        continue
    side = "server" if source == port else "client"
    theirs[int(stream), side] += zip(map(int, lengths.split(",")), map(int, numbers.split(",")))
note = ""
if len(sys.argv) > 4:
    # Of a frame that holds several packets tshark 4.0 shows the first ones only, and what the last one leaves is its next packet: so
    # all that is asked is that it shows nothing else.
    shown = sum(map(len, theirs.values()))
    whole = collections.defaultdict(list)
    for line in open(sys.argv[4]):
        connection, side, length, number = line.split()
        if length == "?":  # a client that leaves in the middle of events: explain knows a packet from its first bytes on
            cut = tuple(whole[int(connection), side])
            for key, l in ours.items():
                if key[1] == side and tuple(l[:-1]) == cut:
                    l.pop()
            continue
        whole[int(connection), side].append((int(length), int(number)))
    known = collections.Counter(p for l in whole.values() for p in l)
    others = sum((collections.Counter(p for l in theirs.values() for p in l) - known).values())
    note, theirs = f", inflated by zlib; tshark shows {shown - others} of them" + (f" and {others} that are none" if others else ""), whole
# What a server still says to a client of an earlier capture is no connection of this one: it has no greeting and no command.
for stream in {stream for stream, side in theirs}:
    if len(sys.argv) < 5 and (stream, "client") not in theirs and theirs[stream, "server"][0][1] != 0:
        del theirs[stream, "server"]
# tshark 4.0 does not decrypt a connection whose SSLRequest and ClientHello came in one segment, as a proxy may send them.
blind = {stream for (stream, side), l in theirs.items() if side == "client" and l == [(32, 1)]}
theirs = {k: l for k, l in theirs.items() if k[0] not in blind}
# The connections are numbered in the order in which they speak here, and of their SYN there: compare the sets.
a, b = ([tuple(l) for l in x.values() if l] for x in (ours, theirs))
missing, more = collections.Counter(b) - collections.Counter(a), collections.Counter(a) - collections.Counter(b)
same = not missing and more.total() == 2 * len(blind)
if not same:
    for what, c in (("only the other", missing), ("only explain", more)):
        for l in list(c)[:3]:
            print(f"{what}: {len(l)} packets: {l[:12]}…{l[-3:]}")
if blind:
    note += f" ({len(blind)} connections that it cannot decrypt)"
print(f"{sum(map(len, b))} packets as in " + ("the frames" if len(sys.argv) > 4 else "tshark") + note if same else "differs")
sys.exit(not same)
