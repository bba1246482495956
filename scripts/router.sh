#!/usr/bin/env bash
# router.sh start DIR PORT HOST:PORT   MySQL Router in front of a server, in the background (fetch it with `servers.sh fetch router`)
# router.sh stop DIR
#
# PORT    passes the bytes through as they are
# PORT+1  parses every packet and makes it anew; TLS with the router's own certificate
# PORT+2  the same, and many clients share server connections
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
. "$here/datadir.sh"
bin=$cache/router/bin/mysqlrouter

case ${1:-} in
start)
  dir=${2:?DIR} port=${3:?PORT} backend=${4:?HOST:PORT}
  [ -f "$cache/router/version" ] || die "no router in the cache: run '$here/servers.sh fetch router'"
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  [ -d "$dir/tls" ] || certificates "$dir/tls"
  sed -e "s#@DIR@#$dir#; s#@TLS@#$dir/tls#; s#@BACKEND@#$backend#; s#@PLUGINS@#$(readlink -f "$cache/router/bin/plugins")#" \
    -e "s#@PORT_PASS@#$port#; s#@PORT_SPLIT@#$((port + 1))#; s#@PORT_SHARE@#$((port + 2))#" "$here/router.conf" >"$dir/router.conf"
  give "$dir"
  ROUTER_PID=$dir/router.pid "${as_server[@]}" "$bin" -c "$dir/router.conf" >"$dir/out.log" 2>&1 </dev/null &
  say $! >"$dir/launcher.pid"
  listening() { (exec 3<>"/dev/tcp/127.0.0.1/$((port + 2))"); }
  wait_for 20 $! listening || {
    tail -5 "$dir/out.log" "$dir/router.log" >&2
    die 'the router did not start'
  }
  say "router: ready on 127.0.0.1:$port (pass), $((port + 1)) (split), $((port + 2)) (share)"
  ;;
stop) stop_pid "$(cd "${2:?DIR}" && pwd)/launcher.pid" "$(cd "$2" && pwd)/router.conf" ;;
*)
  usage "$0"
  exit 2
  ;;
esac
