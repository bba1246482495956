#!/usr/bin/env bash
# run.sh OUTDIR ROUNDS BENCHTIME: every driver on every server with and without TLS, one process each, interleaved: the order of the
# drivers turns from round to round. Then: table.py OUTDIR
#
# Environment: DRIVERS (plain seqguard), SERVERS (name:port ...; "canned" is a connection in memory),
# TLS (false skip-verify), BENCH (a pattern), PARAMS (more DSN parameters). PIN=1 puts the client on core 0; pin the server to
# another: taskset -acp 1 PID.
set -eu
out=$(realpath -m "$1") rounds=$2 time=$3
mkdir -p "$out"
cd "$(dirname "$(realpath "$0")")"
go test -c -o bench.bin .
pin=()
[ -z "${PIN:-}" ] || pin=(taskset -c 0)
read -ra drivers <<<"${DRIVERS:-plain seqguard}"
read -ra servers <<<"${SERVERS:-mysql9:33970 mariadb1011:33980}"
read -ra tls <<<"${TLS:-false skip-verify}"
for r in $(seq "$rounds"); do
  for s in "${servers[@]}"; do
    for t in "${tls[@]}"; do
      for i in "${!drivers[@]}"; do
        d=${drivers[$(((i + r) % ${#drivers[@]}))]}
        dsn="gotest:secret@tcp(127.0.0.1:${s#*:})/gotest?maxAllowedPacket=0&tls=$t${PARAMS:+&$PARAMS}"
        [ "$s" != canned ] || dsn=
        BENCH_DRIVER=$d BENCH_DSN=$dsn "${pin[@]}" ./bench.bin -test.run '^$' -test.bench "${BENCH:-Select|Point|Scan|Blob}" \
          -test.benchtime "$time" >>"$out/${s%:*}-tls_$t-$d.txt" 2>&1
      done
    done
  done
done
