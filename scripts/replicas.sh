#!/usr/bin/env bash
# replicas.sh [SECONDS [SERVER...]]   a replica of each server behind `seqguard proxy`, under load, with semi-synchronous replication
#
# SECONDS: 20 by default; SERVERs: mysql9, mariadb1011, mariadb118 (default: mysql9 mariadb118), all at once. The replica reaches its
# source through the proxy and acknowledges each transaction; the load goes to the source directly: small transactions, and every few
# seconds one of more than 16 MiB, which is two packets. There must be no report and no conversation that could not be followed, and the
# replica must have every row. Then the thread that sends it the events is killed: that must be reported, and the replica comes back.
# COMPRESS=1: the replicas ask for the compressed protocol.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
seconds=${1:-20}
shift || true
[ $# -gt 0 ] || set -- mysql9 mariadb118
export GOWORK=off
work=$(mktemp -d -t replicas.XXXXXX)
chmod 755 "$work"
proxies=()
names=("$@")
cleanup() {
  local n p
  for p in "${proxies[@]}"; do kill "$p" 2>/dev/null || true; done
  for n in "${names[@]}"; do
    "$here/servers.sh" stop "$work/$n.replica" 2>/dev/null || true
    "$here/servers.sh" stop "$work/$n.source" 2>/dev/null || true
  done
  [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT

# source_of, replica_of NAME SQL: the answer, without headings.
source_of() { "$cache/$1/bin/mysql" -uroot -S "$work/$1.source/s.sock" --max-allowed-packet=64M -NB -e "$2"; }
replica_of() { "$cache/$1/bin/mysql" -uroot -S "$work/$1.replica/s.sock" -NB -e "$2"; }

# status NAME SERVER VARIABLE
status() { "$2" "$1" "SHOW GLOBAL STATUS LIKE '$3'" | cut -f2; }

# start NAME PORT: source on PORT, proxy on PORT+1, replica on PORT+2.
start() {
  local name=$1 port=$2 source=() replica=() follow
  case $name in
  mysql*)
    source=(--plugin-load-add=semisync_source.so --rpl-semi-sync-source-enabled=ON --gtid-mode=ON --enforce-gtid-consistency=ON)
    replica=(--plugin-load-add=semisync_replica.so --rpl-semi-sync-replica-enabled=ON --gtid-mode=ON --enforce-gtid-consistency=ON --log-replica-updates=OFF)
    follow="CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=$((port + 1)), SOURCE_USER='gotest', SOURCE_PASSWORD='secret',
      SOURCE_AUTO_POSITION=1, SOURCE_SSL=0, ${COMPRESS:+SOURCE_COMPRESSION_ALGORITHMS='zlib',} GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1, SOURCE_HEARTBEAT_PERIOD=2; START REPLICA"
    ;;
  mariadb*)
    source=(--rpl-semi-sync-master-enabled=ON)
    replica=(--rpl-semi-sync-slave-enabled=ON --slave-max-allowed-packet=64M ${COMPRESS:+--slave-compressed-protocol=ON})
    follow="CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=$((port + 1)), MASTER_USER='gotest', MASTER_PASSWORD='secret',
      MASTER_USE_GTID=slave_pos, MASTER_SSL=0, MASTER_SSL_VERIFY_SERVER_CERT=0, MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=2; START SLAVE"
    ;;
  esac
  "$here/servers.sh" start "$name" "$work/$name.source" "$port" --log-bin=binlog --server-id=1 --binlog-format=ROW "${source[@]}" | tail -1
  "$here/servers.sh" start "$name" "$work/$name.replica" $((port + 2)) --server-id=2 "${replica[@]}" | tail -1
  "$work/seqguard" proxy -listen "127.0.0.1:$((port + 1))" -server "127.0.0.1:$port" -json >"$work/$name.json" 2>"$work/$name.log" &
  proxies+=($!)
  wait_for 30 $! grep -q ' → ' "$work/$name.log" || die "no proxy: $(cat "$work/$name.log")"
  replica_of "$name" "$follow"
  source_of "$name" 'CREATE TABLE gotest.load_t (id BIGINT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)'
}

synchronous() { [ "$(status "$1" source_of "$(clients_variable "$1")")" = 1 ]; }
clients_variable() { case $1 in mysql*) say Rpl_semi_sync_source_clients ;; *) say Rpl_semi_sync_master_clients ;; esac; }
acknowledged() { case $1 in mysql*) status "$1" source_of Rpl_semi_sync_source_yes_tx ;; *) status "$1" source_of Rpl_semi_sync_master_yes_tx ;; esac; }
digest() { "$1" "$2" 'SELECT COUNT(*), SUM(CRC32(v)) FROM gotest.load_t'; }
caught_up() { [ "$(digest source_of "$1")" = "$(digest replica_of "$1")" ]; }
reports() { if [ -s "$1" ]; then grep -o '"cause":"[a-z_]*"' "$1" | cut -d'"' -f4 | sort | uniq -c | tr -s ' \n' ' '; fi; }

# load NAME SECONDS: some twenty transactions a second by one client, and every tenth second a large one.
load() {
  local end=$((SECONDS + $2)) i=0 large
  while ((SECONDS < end)); do
    large=''
    ((i % 50 != 10)) || large="INSERT INTO gotest.load_t (v) VALUES (REPEAT('x', 17000000));"
    say "$large INSERT INTO gotest.load_t (v) VALUES (UUID()); INSERT INTO gotest.load_t (v) VALUES (REPEAT('y', 70000));
      UPDATE gotest.load_t SET v = 'z' WHERE id = $i; BEGIN; INSERT INTO gotest.load_t (v) SELECT HEX(id) FROM gotest.load_t LIMIT 10; COMMIT;"
    i=$((i + 1))
    sleep 0.2
  done | "$cache/$1/bin/mysql" -uroot -S "$work/$1.source/s.sock"
}

(cd "$here/../cmd/seqguard" && go build -o "$work/seqguard" .)
port=${PORT:-23980} # below the range from which clients get theirs
for name in "${names[@]}"; do
  start "$name" "$port"
  port=$((port + 3))
done
for name in "${names[@]}"; do
  wait_for 60 $$ synchronous "$name" || die "$name: the replica does not acknowledge: $(replica_of "$name" 'SHOW REPLICA STATUS\G' | grep -iE 'error|running')"
done
loads=()
for name in "${names[@]}"; do
  load "$name" "$seconds" &
  loads+=($!)
done
wait "${loads[@]}"
for name in "${names[@]}"; do
  wait_for 60 $$ caught_up "$name" || die "$name: source and replica differ: $(digest source_of "$name"), $(digest replica_of "$name")"
  synchronous "$name" || die "$name: semi-synchronous replication was given up"
  transactions=$(acknowledged "$name") rows=$(digest replica_of "$name" | cut -f1)
  [ "$transactions" -gt 0 ] || die "$name: no transaction was acknowledged"
  [ -z "$(reports "$work/$name.json")" ] || {
    cat "$work/$name.log"
    die "$name: reported: $(reports "$work/$name.json")"
  }
  # The thread that sends the events, killed.
  id=$(source_of "$name" "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
  source_of "$name" "KILL $id"
  wait_for 60 $$ test -s "$work/$name.json" || die "$name: a killed dump thread was not reported"
  killed=$(reports "$work/$name.json")
  grep -q "\"connection_id\":$id," "$work/$name.json" || die "$name: the report is not about connection $id"
  grep -q '"phase":"binlog events"' "$work/$name.json" || die "$name: the report is not about binlog events"
  wait_for 60 $$ synchronous "$name" || die "$name: the replica did not come back"
  # It leaves in an orderly way.
  source_of "$name" "INSERT INTO gotest.load_t (v) VALUES ('after')"
  wait_for 60 $$ caught_up "$name" || die "$name: source and replica differ after the reconnection"
  replica_of "$name" 'STOP REPLICA'
  sleep 1
  [ "$(reports "$work/$name.json")" = "$killed" ] || die "$name: reported besides the kill: $(reports "$work/$name.json")"
  say "ok: $name: $transactions transactions acknowledged, $rows rows, $seconds s; killed, it said:$killed"
done
for p in "${proxies[@]}"; do
  kill "$p"
  wait "$p" || true
done
proxies=()
for name in "${names[@]}"; do
  line=$(tail -1 "$work/$name.log")
  say "$name: ${line##*ends: }"
  [[ $line == *' 0 untracked, 0 not seen' ]] || die "$name: a conversation could not be followed"
done
