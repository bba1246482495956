#!/usr/bin/env bash
# proxy_cost.sh [ROUNDS]   what `seqguard proxy` costs beside MySQL Router (passthrough) and no proxy at all, in one run
#
# CPU of the proxy's process for a point select (sysbench, 1 and 8 threads), wall time and CPU for scans of 100,000 rows and for
# blobs of 16 MB, and resident memory for IDLE (5000) connections that are logged in and quiet. Each round measures all three ways in
# turn; the medians of the ratios count. It prints the table of docs/costs.md and takes under six minutes with the five ROUNDS that are
# the default, on a machine that does nothing else. Needs sysbench and python3-pymysql. The servers are MySQL 9.7 and Router of the cache.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
rounds=${1:-5}
port=${PORT:-23920} # below the range from which clients get theirs
export GOWORK=off
work=$(mktemp -d -t proxy-cost.XXXXXX)
chmod 755 "$work"
pid=''
cleanup() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  "$here/router.sh" stop "$work/router" 2>/dev/null || true
  "$here/servers.sh" stop "$work/server" || true
  rm -rf "$work"
}
trap cleanup EXIT
ulimit -n "$(ulimit -Hn)"
mkdir -p "$work/server" "$work/router"
(cd "$here/../cmd/seqguard" && go build -o "$work/seqguard" .)
"$here/servers.sh" start mysql9 "$work/server" "$port" --max-connections=20000 --back-log=4096 | tail -1
"$here/router.sh" start "$work/router" $((port + 2)) "127.0.0.1:$port"
"$work/seqguard" proxy -listen "127.0.0.1:$((port + 1))" -server "127.0.0.1:$port" 2>"$work/log" &
pid=$!
wait_for 30 $pid grep -q ' → ' "$work/log" || die "no proxy: $(cat "$work/log")"
/usr/bin/python3 "$here/proxy_cost.py" "$rounds" "$cache/mysql9/bin/mysql" "$port" "$((port + 1)):$pid" "$((port + 2)):$(pgrep -f "mysqlrouter.*$work/router/router.conf" | tail -1)" "${IDLE:-5000}"
