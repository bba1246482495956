#!/usr/bin/env python3
"""table.py DIR [DRIVER ...]: the median client CPU and allocations per operation, and the ratio to plain: the median over the
rounds of (driver / plain of the same round), which cancels drift, with its quartiles, and the ratio of the least figures of all
rounds, which other work on the machine disturbs least. WALL=1: wall time instead of CPU."""
import os, re, statistics as st, sys

folder, drivers = sys.argv[1], sys.argv[2:] or ["plain", "seqguard"]


def read(path):
    out = {}
    for line in open(path):
        m = re.match(r"Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op(.*)", line)
        if m:
            unit = {k: float(v) for v, k in re.findall(r"([\d.e+]+) (\S+)", m[3])}
            time = float(m[2]) if os.environ.get("WALL") else unit.get("cpu-ns/op", 0)
            out.setdefault(m[1], []).append((time, unit.get("allocs/op", 0)))
    return out


print("| server | benchmark | plain ns (allocs) | " + " | ".join(f"{d} ns (allocs) | {d}/plain | quartiles | least/least" for d in drivers[1:]) + " |")
print("| --- " * (3 + 4 * len(drivers[1:])) + "|")
for tag in sorted({f.rsplit("-", 1)[0] for f in os.listdir(folder) if f.endswith(".txt")}):
    data = {d: read(f"{folder}/{tag}-{d}.txt") for d in drivers}
    for bench, plain in data["plain"].items():
        row = [tag, bench, f"{st.median(t for t, _ in plain):,.0f} ({st.median(a for _, a in plain):,.0f})"]
        for d in drivers[1:]:
            mine = data[d].get(bench, [])
            ratios = [m[0] / p[0] for m, p in zip(mine, plain)]
            q = st.quantiles(ratios, n=4) if len(ratios) > 1 else [0, 0, 0]
            row += [f"{st.median(t for t, _ in mine):,.0f} ({st.median(a for _, a in mine):,.0f})", f"{st.median(ratios):.3f}", f"{q[0]:.3f}–{q[2]:.3f}", f"{min(mine)[0] / min(plain)[0]:.3f}" if mine else "-"]
        print("| " + " | ".join(row) + " |")
