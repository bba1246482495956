#!/usr/bin/env bash
# rsyslog-mysql-batch.sh: rsyslog's output to MySQL (ommysql) loses log lines without a word if its connection ends in the middle of a
# batch (KILL, a restart, a failover). It writes a batch of its queue in one transaction, so one expects all lines, or none and another
# try. But the INSERT that meets the end is sent again at once, on a new connection: the server has rolled back those before it, nobody
# sends them again, and the COMMIT behind the rest succeeds. The queue takes the whole batch for written, so a disk-assisted queue and
# action.resumeRetryCount=-1, which are meant to lose nothing, do not help.
#
# On the wire: START TRANSACTION and INSERTs on one connection, INSERTs and COMMIT on the next.
#
# Below, six lines are one batch. The fourth waits for another session's row lock when its connection is killed. Run with Debian 12's
# rsyslog and rsyslog-mysql 8.2302.0-1+deb12u2 (the source of August 2026 has the same lines) and MariaDB 10.11 of the cache
# (scripts/servers.sh). Fails if it is otherwise. Output seen: the line at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=8.2302.0-1+deb12u2
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
daemon=
trap '[ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true; "$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23995}
"$scripts/servers.sh" start mariadb1011 "$dir/server" "$port" >/dev/null
mkdir -p "$dir/program/debs/partial"
cd "$dir/program"
apt-get install -qq -y --download-only --reinstall --no-install-recommends -o Dir::Cache::archives="$PWD/debs" "rsyslog=$version" \
  "rsyslog-mysql=$version" >log 2>&1 || die "$(tail -5 log)"
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
sql() { "$cache/mariadb1011/bin/mysql" -uroot -S "$dir/server/s.sock" -N --delimiter=// gotest -e "$1"; }
held() { [ "$(sql "SELECT IS_USED_LOCK('held') IS NOT NULL")" = 1 ]; }
written() { [ "$(sql 'SELECT COUNT(*) FROM log WHERE line = 6')" = 1 ]; }
sql 'CREATE TABLE log (line INT PRIMARY KEY)'
cat >conf <<CONF
global(workDirectory="$PWD" processInternalMessages="on")
module(load="imfile")
module(load="ommysql")
input(type="imfile" file="$PWD/lines" tag="app")
template(name="insert" type="string" string="INSERT INTO log VALUES ('%msg%')" option.sql="on")
if \$syslogtag == "app" then {
  action(type="ommysql" server="127.0.0.1" serverport="$port" db="gotest" uid="gotest" pwd="secret" template="insert"
    queue.type="LinkedList" queue.filename="q" queue.saveonshutdown="on" action.resumeRetryCount="-1"
    queue.minDequeueBatchSize="6" queue.minDequeueBatchSize.timeout="120000")
  stop
}
action(type="omfile" file="$PWD/said")
CONF
seq 6 >lines
# The other session: holds the row lock of line 4 until the INSERT waits for it and is killed.
sql "BEGIN NOT ATOMIC
  DECLARE victim INT;
  START TRANSACTION;
  INSERT INTO log VALUES (4);
  DO GET_LOCK('held', 0);
  FOR i IN 1..600 DO
    IF victim IS NULL THEN
      DO SLEEP(0.1);
      SET victim = (SELECT MIN(id) FROM information_schema.processlist WHERE info = 'INSERT INTO log VALUES (\'4\')');
    END IF;
  END FOR;
  IF victim IS NOT NULL THEN KILL victim; END IF;
  ROLLBACK;
END" &
wait_for 60 $! held
libraries=$(echo "$PWD"/root/usr/lib/*-linux-gnu)
LD_LIBRARY_PATH=$libraries root/usr/sbin/rsyslogd -n -f conf -i "$PWD/pid" -M "$libraries/rsyslog" >log 2>&1 &
daemon=$!
wait_for 60 "$daemon" written || die "$(cat log said)"
kill "$daemon"
wait "$daemon" || true # it has written what was in its queue
daemon=
out="of lines 1 2 3 4 5 6 there are $(sql 'SELECT line FROM log ORDER BY line' | paste -sd ' '), and $(find . -name 'q.*' | wc -l) files of the queue"
out+="; rsyslog says: $(sed 's/.*] //' said | paste -sd ' ')"
printf 'rsyslog %s: %s\n' "$version" "$out"
[ "$out" = 'of lines 1 2 3 4 5 6 there are 4 5 6, and 0 files of the queue; rsyslog says: start exiting on signal 15.' ] || die 'that has changed'
