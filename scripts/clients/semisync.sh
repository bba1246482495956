#!/usr/bin/env bash
# semisync.sh NAME MYSQL SOCKET COMMAND...: runs COMMAND while the server wants its transactions acknowledged. NAME is the server's; of
# MySQL 9 COMMAND's client does not know the variables, so it stays as it is.
set -euo pipefail
name=$1 mysql=$2 socket=$3
shift 3
[[ $name == mariadb* ]] || exec "$@"
"$mysql" -uroot -S "$socket" -e 'SET GLOBAL rpl_semi_sync_master_enabled = ON, rpl_semi_sync_master_timeout = 60000, rpl_semi_sync_master_wait_no_slave = OFF'
trap '"$mysql" -uroot -S "$socket" -e "SET GLOBAL rpl_semi_sync_master_enabled = OFF"' EXIT
before=$("$mysql" -uroot -S "$socket" -NBe "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_yes_tx'")
"$@"
after=$("$mysql" -uroot -S "$socket" -NBe "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_yes_tx'")
echo "${before//[^0-9]/}, then ${after//[^0-9]/} transactions acknowledged"
[ "$before" != "$after" ] || {
  echo 'error: no transaction was acknowledged' >&2
  exit 1
}
