"""proxy_cost.py ROUNDS MYSQL DIRECT_PORT PORT:PID(seqguard) PORT:PID(router) IDLE: see proxy_cost.sh."""
import os, re, statistics, subprocess, sys, time

rounds, mysql, idle = int(sys.argv[1]), sys.argv[2], int(sys.argv[6])
ways = {"direct": (sys.argv[3], None)}
for name, arg in (("seqguard", sys.argv[4]), ("router", sys.argv[5])):
    port, pid = arg.split(":")
    ways[name] = (port, int(pid))


def cpu(pid):
    if pid is None:
        return 0
    f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def rss(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1))


def sysbench(port, threads, what):
    return subprocess.run(["sysbench", "oltp_point_select", "--mysql-host=127.0.0.1", f"--mysql-port={port}", "--mysql-user=gotest",
                           "--mysql-password=secret", "--mysql-db=gotest", "--mysql-ssl=off", "--tables=1", "--table-size=1000",
                           f"--threads={threads}", "--time=2", what], capture_output=True, text=True, check=True).stdout


def select(threads):
    def run(port):
        return int(re.search(r"total number of events:\s+(\d+)", sysbench(port, threads, "run")).group(1))
    return run


def query(sql, times=1):
    def run(port):
        for _ in range(times):
            subprocess.run([mysql, "-h127.0.0.1", f"-P{port}", "-ugotest", "-psecret", "--ssl-mode=DISABLED", "--get-server-public-key",
                            "--quick", "--max-allowed-packet=64M", "-N", "gotest", "-e", sql], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return 1
    return run


sysbench(ways["direct"][0], 1, "prepare")
scan = "SELECT a.*, b.id FROM sbtest1 a, sbtest1 b LIMIT 100000"
work = [("point select, 1 thread", "µs", select(1), 1e6), ("point select, 8 threads", "µs", select(8), 1e6),
        ("three scans of 100,000 rows", "ms", query(scan, 3), 1e3), ("ten blobs of 16 MB", "ms", query("SELECT REPEAT('x', 16000000)", 10), 1e3)]
say = lambda line: print(line, flush=True)
m = statistics.median
say("| | CPU, seqguard | CPU, Router | ratio (least–most) | wall, none | wall, seqguard | wall, Router | ratio (least–most) |")
say("|---|---|---|---|---|---|---|---|")
for name, unit, run, scale in work:
    cost, wall = {w: [] for w in ways}, {w: [] for w in ways}
    for i in range(rounds):
        # Each way is first as often as last: caches and other work of the machine fall on all.
        for w in list(ways)[i % 3:] + list(ways)[:i % 3]:
            port, pid = ways[w]
            c, t = cpu(pid), time.monotonic()
            n = run(port)
            wall[w].append((time.monotonic() - t) / n * scale)
            cost[w].append((cpu(pid) - c) / n * scale)

    def ratio(x):
        r = sorted(a / b for a, b in zip(x["seqguard"], x["router"]) if b > 0)
        return f"{m(r):.2f} ({r[0]:.2f}–{r[-1]:.2f})" if r else "–"

    number = lambda x: f"{m(x):.1f} {unit}"
    say(f"| {name} | {number(cost['seqguard'])} | {number(cost['router'])} | {ratio(cost)} | {number(wall['direct'])} | {number(wall['seqguard'])} | {number(wall['router'])} | {ratio(wall)} |")

import pymysql

conns, before, at_once = {}, {}, {}
for w in ("seqguard", "router"):
    port, pid = ways[w]
    before[w], conns[w] = rss(pid), []
    try:
        for _ in range(idle):
            conns[w].append(pymysql.connect(host="127.0.0.1", port=int(port), user="gotest", password="secret", database="gotest"))
    except Exception as e:
        say(f"\n{w}: {len(conns[w])} connections, then {e}")
    at_once[w] = rss(pid)
time.sleep(130)  # Go collects every two minutes what is not needed any more
say("")
for w, list_ in conns.items():
    pid, n = ways[w][1], max(len(list_), 1)
    say(f"{n} idle connections: {w} {(at_once[w] - before[w]) / n:.1f} KiB each, two minutes later {(rss(pid) - before[w]) / n:.1f}.")
say("Load of the machine at the end, this run's own included: %.1f, %.1f, %.1f." % os.getloadavg())
