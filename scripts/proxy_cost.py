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
                           f"--threads={threads}", "--time=3", what], capture_output=True, text=True, check=True).stdout


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
        ("scan of 100,000 rows", "ms", query(scan, 3), 1e3), ("blobs of 16 MB", "ms", query("SELECT REPEAT('x', 16000000)", 10), 1e3)]
for name, unit, run, scale in work:
    cost, wall = {w: [] for w in ways}, {w: [] for w in ways}
    for _ in range(rounds):
        for w, (port, pid) in ways.items():
            c, t = cpu(pid), time.monotonic()
            n = run(port)
            wall[w].append((time.monotonic() - t) / n * scale)
            cost[w].append((cpu(pid) - c) / n * scale)
    m = statistics.median
    ratio = lambda x: m(a / b for a, b in zip(x["seqguard"], x["router"]) if b > 0)
    print(f"{name:26} CPU {unit}: seqguard {m(cost['seqguard']):8.1f}  router {m(cost['router']):8.1f}  ratio {ratio(cost):.2f}"
          f" | wall {unit}: direct {m(wall['direct']):8.1f}  seqguard {m(wall['seqguard']):8.1f}  router {m(wall['router']):8.1f}  ratio {ratio(wall):.2f}", flush=True)

import pymysql

for w in ("seqguard", "router"):
    port, pid = ways[w]
    before, conns = rss(pid), []
    try:
        for _ in range(idle):
            conns.append(pymysql.connect(host="127.0.0.1", port=int(port), user="gotest", password="secret", database="gotest"))
    except Exception as e:
        print(f"{w}: {len(conns)} connections, then {e}")
    at_once = rss(pid)
    time.sleep(130)  # Go collects every two minutes what is not needed any more
    n = max(len(conns), 1)
    print(f"{n} idle connections: {w} {(at_once - before) / n:.1f} KiB each, two minutes later {(rss(pid) - before) / n:.1f}", flush=True)
    for c in conns:
        c.close()
