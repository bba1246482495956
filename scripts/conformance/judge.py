"""judge.py REPORTS: the reports of `seqguard proxy -json` about go-sql-driver's suite, each explained by what the suite does.

Anything else fails, and so does more of a kind than the suite brings about."""
import collections, json, sys

# What it does: TestContextCancelExec, …Query and …QueryRow cancel a query that runs, TestContextCancelStmtExec and …StmtQuery a
# prepared one; the driver closes the connection then. The tests of the liveness check set wait_timeout to 2 s and wait. Pools are
# closed while they dial further connections, in whatever state those are. TestConcurrent opens as many connections as the server
# takes and passes when it refuses some: it may not have finished with earlier ones.
most = {"a query that was cancelled": 3, "a prepared statement that was cancelled": 2, "wait_timeout was over": 1, "a dial that was given up": None, "one connection more than the server takes": None}
answering, connecting = ("command", "columns", "rows"), ("greeting", "login", "tls handshake", "authentication")


def why(o):
    last = [p["label"] for p in o["packets"] if p["from"] == "client"][-1:]
    if o["cause"] == "idle_timeout" and o["phase"] == "ready" and o["severity"] == "notice":
        return "wait_timeout was over"
    if o["cause"] == "refused_before_greeting" and "ERR 1040 " in o["explanation"]:
        return "one connection more than the server takes"
    if o["cause"] != "client_left":
        return None
    if o["phase"] in connecting and o["executed"] == "no":
        return "a dial that was given up"
    if o["phase"] in answering and o["executed"] == "unknown":
        return {"COM_QUERY": "a query that was cancelled", "COM_STMT_EXECUTE": "a prepared statement that was cancelled"}.get(*last)
    return None


counts, bad = collections.Counter(), []
for line in open(sys.argv[1]):
    o = json.loads(line)
    reason = why(o)
    counts[reason] += 1
    if reason is None:
        bad.append(f"{o['cause']} in {o['phase']}, executed {o['executed']}: {o['explanation'][:300]}")
bad += [f"{n} times {reason}, at most {most[reason]} are the suite's" for reason, n in counts.items() if reason and most[reason] is not None and n > most[reason]]
print("reports: " + (", ".join(f"{n} × {reason}" for reason, n in sorted(counts.items(), key=str) if reason) or "none"))
for line in bad[:10]:
    print(line)
sys.exit(bool(bad))
