#!/usr/bin/env bash
# jaeger.sh fetch            builds Jaeger from its Go module, once, into the cache (about 5 minutes on two cores)
# jaeger.sh start DIR        runs it in the background; log and pid file in DIR
# jaeger.sh stop DIR
#
# Memory storage, 127.0.0.1 only. Ports by environment, see jaeger.yaml: OTLP_GRPC_PORT (4317), OTLP_HTTP_PORT (4318),
# JAEGER_HTTP_PORT (16686, the query API), JAEGER_GRPC_PORT (16685).
# Environment: SEQGUARD_CACHE, JAEGER_VERSION (v1.76.0).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
version=${JAEGER_VERSION:-v1.76.0}
module=github.com/jaegertracing/jaeger
bin=$cache/jaeger/jaeger

# `go install module@version` refuses modules with replace directives, and Jaeger has one. A module of our own with Jaeger's
# go.mod works. Jaeger's own go.sum goes with it: the checksum database does not know all of its dependencies any more, and
# that file, itself verified as a part of the module, has their hashes.
build() {
  local dir=$cache/jaeger/module src
  mkdir -p "$dir"
  cd "$dir"
  export GOFLAGS=-mod=mod GOWORK=off
  printf 'module example.com/jaegerbuild\n' >go.mod
  src=$(go mod download -json "$module@$version" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
  [ -d "$src" ] || die "cannot download $module@$version"
  {
    sed 's#^module .*#module example.com/jaegerbuild#' "$src/go.mod"
    printf '\nrequire %s %s\n\ntool %s/cmd/jaeger\n' "$module" "$version" "$module"
  } >go.mod
  cat "$src/go.sum" >go.sum
  go build -trimpath -ldflags='-s -w' -o "$bin.new" "$module/cmd/jaeger"
  mv "$bin.new" "$bin"
  say "$version" >"$cache/jaeger/version"
  rm -rf "$dir"
}

case ${1:-} in
fetch)
  if [ -x "$bin" ] && [ "$(cat "$cache/jaeger/version" 2>/dev/null)" = "$version" ]; then
    say "jaeger: there already ($bin)"
  else
    say "jaeger: building $version"
    build
    say "jaeger: built ($bin)"
  fi
  ;;
start)
  dir=${2:?DIR}
  [ -x "$bin" ] || die "no Jaeger in the cache: run '$here/jaeger.sh fetch'"
  if curl -fsS -m 1 "http://127.0.0.1:${JAEGER_HTTP_PORT:-16686}/api/services" >/dev/null 2>&1; then
    die "port ${JAEGER_HTTP_PORT:-16686} already answers: another Jaeger runs (JAEGER_HTTP_PORT chooses another port)"
  fi
  mkdir -p "$dir"
  "$bin" --config "$here/jaeger.yaml" >"$dir/jaeger.log" 2>&1 </dev/null &
  say $! >"$dir/jaeger.pid"
  wait_for 20 $! curl -fsS -m 1 "http://127.0.0.1:${JAEGER_HTTP_PORT:-16686}/api/services" || {
    tail -5 "$dir/jaeger.log" >&2
    die 'Jaeger did not start'
  }
  say "jaeger: ready, query API on 127.0.0.1:${JAEGER_HTTP_PORT:-16686}"
  ;;
stop) stop_pid "${2:?DIR}/jaeger.pid" "$bin" ;;
*)
  usage "$0"
  exit 2
  ;;
esac
