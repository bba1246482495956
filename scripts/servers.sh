#!/usr/bin/env bash
# servers.sh fetch [NAME...]         brings servers into the cache; what is there already stays. Without names: all of them
# servers.sh list                    names, versions, and which ones the cache has
# servers.sh start NAME DIR PORT [OPTION...]   a private server on 127.0.0.1:PORT with its data in DIR; OPTIONs are mysqld's
# servers.sh stop DIR
# servers.sh cli NAME [ARGUMENT...]  the mysql client that came with the server
#
# Names: mysql9, mariadb1011, mariadb118; and, to fetch only: router (see router.sh), prometheus (with promtool; for contrib/),
# mysql9tools, mariadb118tools and exporter (dumps, readers of the binary log, mysqlslap, Prometheus' mysqld_exporter; for clients.sh).
# (Jaeger: jaeger.sh.)
#
# Accounts of every server, all with all rights: root (no password, from this machine), gotest/secret (MySQL:
# caching_sha2_password, MariaDB: mysql_native_password), tlsonly/secret (must use TLS), mtls/secret (must show a client
# certificate); MySQL: sha256/secret (sha256_password); MariaDB: ed/secret (ed25519), from 11.6 on parsec/secret. Database gotest.
# Certificates: DIR/tls/{ca,server,client}.{pem,key}. Socket: DIR/s.sock. Log: DIR/error.log.
#
# What the cache holds of a server, and all that the Go tests use (internal/mysqltest):
#   NAME/bin/{mysqld,mysql,mysqladmin}   start the program with its own libraries and folders
#   NAME/template/{data,tls}             an initialised data folder with the accounts, to be copied
#   NAME/version                         what `mysqld --version` says; written last: it is there when all the rest is
#
# Environment: SEQGUARD_CACHE; SEQGUARD_OFFLINE=1: take what is installed on the machine, download nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
. "$here/programs.sh"
. "$here/datadir.sh"
all=(mysql9 mariadb1011 mariadb118 router prometheus mysql9tools mariadb118tools exporter)

fetch() {
  local name=$1 dir=$cache/$1
  # A cache that was filled before mysqlslap was asked for lacks it.
  if [ -f "$dir/version" ] && { [ "$name" != mysql9tools ] || [ -f "$dir/bin/mysqlslap" ]; }; then
    say "$name: there already ($(cat "$dir/version"))"
    return
  fi
  mkdir -p "$cache"
  chmod a+rx "$cache"
  rm -rf "$dir.new"
  mkdir -p "$dir.new/bin"
  get_programs "$name" "$dir.new"
  # bin/ has no path in it, so the folder can be moved once it is whole.
  rm -rf "$dir"
  mv "$dir.new" "$dir"
  local program=mysqld
  case $name in
  router) program=mysqlrouter ;;
  prometheus) program=prometheus ;;
  exporter) program=mysqld_exporter ;;
  mysql9tools) program=mysqldump ;;
  mariadb118tools) program=mariadb-binlog ;;
  *) make_template "$name" "$dir" ;;
  esac
  "$dir/bin/$program" --version 2>&1 | sed -E -n '1{s/^.*([Vv]er|version) +([^ ]+).*/\2/p;t;s/^.* from ([^ ,]+).*/\1/p}' >"$dir/version.new"
  mv "$dir/version.new" "$dir/version"
  say "$name: $(cat "$dir/version") in $dir"
}

known() {
  local n
  for n in "${all[@]}"; do [ "$n" != "$1" ] || return 0; done
  die "unknown server $1; there are: ${all[*]}"
}

case ${1:-} in
fetch)
  shift
  [ $# -gt 0 ] || set -- "${all[@]}"
  for name in "$@"; do known "$name"; done
  for name in "$@"; do fetch "$name"; done
  ;;
list)
  for name in "${all[@]}"; do
    printf '%-12s %s\n' "$name" "$(cat "$cache/$name/version" 2>/dev/null || say 'not in the cache')"
  done
  ;;
start)
  name=${2:?NAME} dir=${3:?DIR} port=${4:?PORT}
  known "$name"
  shift 4
  [ -f "$cache/$name/version" ] || die "$name is not in the cache: run '$0 fetch $name'"
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  if [ ! -d "$dir/data" ]; then
    cp -R "$cache/$name/template/." "$dir/"
    give "$dir"
  fi
  start_server "$name" "$dir" --bind-address=127.0.0.1 --port="$port" "$@"
  say "$name: ready on 127.0.0.1:$port, socket $dir/s.sock"
  ;;
stop) stop_pid "$(cd "${2:?DIR}" && pwd)/launcher.pid" "--datadir=$(cd "$2" && pwd)/data" ;;
cli)
  known "${2:?NAME}"
  name=$2
  shift 2
  exec "$cache/$name/bin/mysql" "$@"
  ;;
*)
  usage "$0"
  exit 2
  ;;
esac
