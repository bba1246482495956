#!/usr/bin/env bash
# instructions.sh [update]: how many instructions an operation takes on canned answers, against the figures in bench/instructions.
#
# Counted by valgrind, as hardware counters are not to be had everywhere. Fails when the guard takes more than what is recorded
# and 2 %. What the plain driver takes, with the same Go, is counted too: both move together with a new release of Go or of the
# driver, so the figures that are compared are the guard's in units of the plain driver's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$(dirname "$here")/scripts/lib.sh"
command -v valgrind >/dev/null || die 'valgrind is not installed'
export GOWORK=off
work=$(mktemp -d -t seqguard-instructions.XXXXXX)
trap 'rm -rf "$work"' EXIT
(cd "$here" && go test -c -o "$work/bench" .)

# total DRIVER WORKLOAD TIMES: all instructions of a run. Without collections, preemption and a second thread, two runs differ by
# a fraction of a per cent.
total() {
  BENCH_DSN='' BENCH_DRIVER=$1 GOMAXPROCS=1 GOGC=off GODEBUG=asyncpreemptoff=1 valgrind --tool=cachegrind --cache-sim=no \
    --cachegrind-out-file=/dev/null "$work/bench" -test.run '^$' -test.bench "One/$2\$" -test.benchtime "${3}x" -test.cpu 1 2>&1 |
    sed -n 's/.*I *refs: *//p' | tr -d ,
}

# least DRIVER WORKLOAD TIMES: total, or what it was before if that was less.
least() {
  local kept=$work/$1.$2.$3 n
  n=$(total "$@")
  if [ -s "$kept" ] && [ "$(cat "$kept")" -lt "$n" ]; then n=$(cat "$kept"); fi
  say "$n" | tee "$kept"
}

# count DRIVER WORKLOAD TIMES: instructions of one operation. Of each of the two runs it is the difference of, the least of three
# (they differ by up to 1.5 %) and of those before: what else the runtime does only adds. For the record, the least of nine. A scan is
# counted once.
count() {
  local a b tries=$tries i
  [ "$3" -gt 100 ] || tries=1
  for ((i = 0; i < tries; i++)); do
    a=$(least "$1" "$2" "$(($3 / 2))")
    b=$(least "$1" "$2" "$3")
  done
  say "$(((b - a) / ($3 - $3 / 2)))"
}

# measure WORKLOAD TIMES: a line "workload plain guarded ratio".
measure() {
  local plain guarded
  plain=$(count plain "$1" "$2") guarded=$(count seqguard "$1" "$2")
  awk -v w="$1" -v p="$plain" -v g="$guarded" 'BEGIN { printf "%s %d %d %.3f\n", w, p, g, g / p }'
}

# above LINE: whether its ratio is more than 2 % above the record.
above() { awk -v line="$1" 'BEGIN { split(line, f) } $1 == f[1] { was = $4 } END { exit !(f[4] > was * 1.02) }' "$here/instructions"; }

tries=3
[ "${1:-}" != update ] || tries=9
say '# workload: instructions of the plain driver, of the guarded one, and the ratio' >"$work/new"
while read -r workload times; do
  line=$(measure "$workload" "$times")
  # One that is above is measured again, and what was the least stays: two counts of a connect differ by 4 %.
  for _ in 1 2 3; do
    if [ "${1:-}" = update ] || ! above "$line"; then break; fi
    say "again: $line" >&2
    line=$(measure "$workload" "$times")
  done
  say "$line" >>"$work/new"
done <<<'Select1 12000
PreparedPoint 12000
BeginExecCommit 8000
ConnectClose 4000
Scan100k 2'
if [ "${1:-}" = update ]; then
  cp "$work/new" "$here/instructions"
  cat "$work/new"
  exit
fi
awk 'NR == FNR { was[$1] = $4; next } /^#/ { next }
  { verdict = $4 > was[$1] * 1.02 ? "MORE THAN 2 % ABOVE THE RECORD" : "ok"; if (verdict != "ok") bad = 1
    printf "%-18s plain %9d  guarded %9d  ratio %.3f  recorded %.3f  %s\n", $1, $2, $3, $4, was[$1], verdict }
  END { exit bad }' "$here/instructions" "$work/new" || die 'an operation takes more instructions; if that is meant: bench/instructions.sh update'
