#!/usr/bin/env bash
# exporter.sh PROGRAM HOST PORT LISTEN: Prometheus' mysqld_exporter is asked for its metrics, twice; it makes a connection for each. TLS=1.
set -euo pipefail
program=$1 listen=$4
export DATA_SOURCE_NAME="gotest:secret@($2:$3)/"
[ -z "${TLS:-}" ] || DATA_SOURCE_NAME+='?tls=skip-verify'
"$program" --web.listen-address="127.0.0.1:$listen" --collect.info_schema.processlist --collect.info_schema.tables --collect.binlog_size \
  --collect.info_schema.innodb_metrics --collect.engine_innodb_status >&2 &
pid=$!
trap 'kill $pid && wait $pid || true' EXIT
for _ in $(seq 300); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$listen") 2>/dev/null; then break; fi
  kill -0 $pid
  sleep 0.1
done
for _ in 1 2; do
  exec 3<>"/dev/tcp/127.0.0.1/$listen"
  printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
  metrics=$(cat <&3)
  exec 3>&-
  grep -q '^mysql_up 1' <<<"$metrics" || {
    echo "error: the exporter has no connection: $(grep '^mysql_up' <<<"$metrics")" >&2
    exit 1
  }
  grep -c '^mysql_' <<<"$metrics"
done
