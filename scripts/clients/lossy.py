"""lossy.py WHOLE LOSSY LOST [PIPELINES]: what explain says of a capture that lost segments, against what it says of the whole one.

All that it lists was there, in this order. Up to a connection's first loss it lists everything; behind the last one it goes on at a
command, unless the client PIPELINES: then nobody knows which answer is due. (A clone looks like commands, and is not followed either.) Files: explain -packets -rows -json, twice, and what mangle.py printed. Prints how many of the whole one's packets it lists."""
import collections, datetime, json, sys


def packets(name):
    lists = collections.defaultdict(list)
    for line in open(name):
        o = json.loads(line)
        if "cause" not in o:
            at = datetime.datetime.fromisoformat(o["time"][:26].rstrip("Z+").ljust(26, "0") if "." in o["time"] else o["time"][:19])
            lists[o["connection"], o["from"]].append((o["bytes"], o["sequence_first"], at.replace(tzinfo=None)))
    return lists


whole, lossy, lost, wrong = packets(sys.argv[1]), packets(sys.argv[2]), collections.defaultdict(list), []
for line in open(sys.argv[3]):
    o = json.loads(line)
    lost[o["connection"]].append(o)
there = listed = 0
for key in sorted(set(whole) | set(lossy)):
    connection, side = key
    a, b, holes = whole[key], lossy[key], lost[connection]
    there += len(a)
    listed += len(b)
    i = iter(p[:2] for p in a)
    if not all(p[:2] in i for p in b):
        wrong.append(f"connection {connection}: packets of the {side} that were not there, or not in this order")
    if not holes:
        if [p[:2] for p in a] != [p[:2] for p in b]:
            wrong.append(f"connection {connection}: nothing is lost, and the packets of the {side} differ")
        continue
    begin = datetime.datetime.utcfromtimestamp(min(h["time"] for h in holes))
    before = [p[:2] for p in a if p[2] < begin]
    if [p[:2] for p in b[: len(before)]] != before:
        wrong.append(f"connection {connection}: packets of the {side} before the first loss differ")
    # Behind the last loss: the second command and all that follows it.
    end = datetime.datetime.utcfromtimestamp(max(h["time"] for h in holes))
    commands = [p for p in whole[connection, "client"] if p[1] == 0 and p[2] > end]
    if len(commands) > 1 and len(sys.argv) < 5:
        rest = [p[:2] for p in a if p[2] >= commands[1][2]]
        if rest and [p[:2] for p in b[-len(rest) :]] != rest:
            wrong.append(f"connection {connection}: it does not go on with the second command behind the loss, {side}")
print("\n".join(wrong[:5]) if wrong else f"{sum(map(len, lost.values()))} segments lost, {listed} of {there} packets followed")
sys.exit(bool(wrong))
