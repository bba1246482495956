#!/usr/bin/env bash
# all.sh [SERVER...]: everything that is measured, on real servers (mysql9 mariadb1011), in plaintext and through TLS, in under
# ten minutes. Prints one table with the aim beside each figure, and fails when a median is more than 0.01 above its aim.
#
# Environment: TURNS (40) a workload; ONLY (a pattern of workloads); PIN=0 does not pin client and server to a core each; PORT.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
. "$root/scripts/lib.sh"
export GOWORK=off
[ $# -gt 0 ] || set -- mysql9 mariadb1011
work=$(mktemp -d -t seqguard-bench.XXXXXX)
chmod 755 "$work"
running=()
cleanup() {
  local d
  for d in "${running[@]}"; do "$root/scripts/servers.sh" stop "$d" >/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
(cd "$here" && go test -c -o "$work/bench" .)
pin=()
if [ "${PIN:-1}" = 1 ] && [ "$(nproc)" -gt 1 ]; then pin=(taskset -c 0); fi
port=${PORT:-23710} # below the range from which clients get theirs
say "load before: $(cut -d' ' -f1-3 /proc/loadavg); Go $(go env GOVERSION), $(nproc) cores"
for name in "$@"; do
  dir=$work/$name
  running+=("$dir")
  "$root/scripts/servers.sh" start "$name" "$dir" "$port" >/dev/null
  [ ${#pin[@]} = 0 ] || taskset -acp 1 "$(cat "$dir/server.pid")" >/dev/null
  for tls in false skip-verify; do
    BENCH_DSN="gotest:secret@tcp(127.0.0.1:$port)/gotest?maxAllowedPacket=0&tls=$tls" "${pin[@]}" "$work/bench" -test.run '^$' \
      -test.bench "Pairs/(${ONLY:-.*})\$" -test.benchtime "${TURNS:-40}x" >"$work/out" 2>&1 || { cat "$work/out"; die "the benchmark failed on $name, tls=$tls"; }
    sed -n "s/^BenchmarkPairs/$name $tls &/p" "$work/out" >>"$work/all"
  done
  "$root/scripts/servers.sh" stop "$dir" >/dev/null
  port=$((port + 1))
done
if [ -z "${ONLY:-}" ]; then
  BENCH_SCALE=1 "$work/bench" -test.run TestScale | sed -n 's/^SCALE\t//p' >"$work/scale"
fi
say "load after: $(cut -d' ' -f1-3 /proc/loadavg)"
touch "$work/scale"
awk -f "$here/all.awk" "$here/aims" "$work/all" "$work/scale"
