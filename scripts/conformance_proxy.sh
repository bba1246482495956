#!/usr/bin/env bash
# conformance_proxy.sh HOST:PORT [MODE...]   go-sql-driver's suite with the plain driver, through `seqguard proxy`
#
# MODEs: plain, compress, tls (ended at the proxy), opaque (TLS that is passed through and cannot be seen); default: plain compress tls.
# Fails when the suite does (conformance.sh), when a conversation could not be followed, or when there was a report that nothing in the
# suite explains (conformance/judge.py): it cancels statements and dials, and lets wait_timeout run out, and that is what is reported.
# Environment: PROXY_PORT (23959)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
[ $# -ge 1 ] || {
  usage "$0"
  exit 2
}
server=$1
shift
[ $# -gt 0 ] || set -- plain compress tls
export GOWORK=off
port=${PROXY_PORT:-23959} pid=''
work=$(mktemp -d -t conformance-proxy.XXXXXX)
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
(cd "$here/../cmd/seqguard" && go build -o "$work/seqguard" .)
for mode in "$@"; do
  flags=() dsn=''
  case $mode in
  plain) ;;
  compress) dsn=compress=true ;;
  tls) flags=(-tls terminate) dsn=tls=skip-verify ;;
  opaque) dsn=tls=skip-verify ;;
  *) die "unknown mode $mode" ;;
  esac
  : >"$work/log" # that of the mode before says that it listens
  "$work/seqguard" proxy -listen "127.0.0.1:$port" -server "$server" "${flags[@]}" -json >"$work/json" 2>"$work/log" &
  pid=$!
  wait_for 30 $pid grep -q ' → ' "$work/log" || die "no proxy: $(cat "$work/log")"
  PLAIN=1 EXTRA_DSN=$dsn "$here/conformance.sh" "127.0.0.1:$port"
  kill "$pid"
  wait "$pid" || true
  pid=
  line=$(tail -1 "$work/log")
  say "through the proxy, $mode: ${line##*ends: }"
  [[ $line == *' 0 untracked'* ]] || die 'a conversation could not be followed'
  python3 "$here/conformance/judge.py" "$work/json" || die 'the proxy has something to say about lawful use'
done
