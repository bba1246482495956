#!/usr/bin/env bash
# checkmysql-one-source.sh: check_mysql --check-slave, of Debian's monitoring-plugins, is green while a replica's connection to its source is
# broken, if the replica has more than one. "Check if the slave thread is running properly", says its help, so one expects it to look at all,
# or to say of which it speaks. But it takes the first row of SHOW SLAVE STATUS and no other:
#
# - On MariaDB that is the connection without a name. What was set up as CHANGE MASTER 'name' may be down, or stopped by an error: OK.
# - If all connections have names, it says "No slaves defined" (a warning), whether they run or not.
#
# The plugin has no option for it. SHOW ALL SLAVES STATUS tells, and on the source the list of processes, where a "Binlog Dump"
# is missing.
#
# Run with monitoring-plugins-standard 2.3.3-5+deb12u2 and MariaDB 10.11 of the cache (scripts/servers.sh), two of them. Fails if it is
# otherwise. Needs Debian 12 with its packages. Output seen: the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=2.3.3-5+deb12u2
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/source" || true; "$scripts/servers.sh" stop "$dir/replica" || true; rm -rf "$dir"' EXIT
port=${PORT:-23986}
mkdir "$dir/source" "$dir/replica" "$dir/program"
cd "$dir/program"
apt-get download -qq "monitoring-plugins-standard=$version" >log 2>&1 || die "$(tail -5 log)"
dpkg-deb -x monitoring-plugins-standard*.deb root
"$scripts/servers.sh" start mariadb1011 "$dir/source" "$port" --log-bin=binlog --server-id=1 >/dev/null
"$scripts/servers.sh" start mariadb1011 "$dir/replica" "$((port + 1))" --server-id=2 --skip-slave-start >/dev/null
sql() { "$cache/mariadb1011/bin/mysql" -uroot -S "$dir/replica/s.sock" -N -e "$1"; }
check() {
  local status=0
  root/usr/lib/nagios/plugins/check_mysql -H 127.0.0.1 -P $((port + 1)) -u gotest -p secret --check-slave >said || status=$?
  say "check_mysql: exit status $status, $(grep -o 'Slave IO: [A-Z].*Master: [0-9]*\|No slaves defined' said)"
}
threads() { # of each connection: its name, whether it is connected, whether it applies
  sql 'SHOW ALL SLAVES STATUS' | cut -f 1,13,14 | sed "s/^/'/; s/\t/': /; s/\t/ /" | paste -sd ,
}
settled() { [[ $(threads) == "'': Yes Yes,'orders': Connecting Yes" ]]; }
named_settled() { [[ $(threads) == "'orders': Connecting Yes,'shop': Yes Yes" ]]; }
from="master_host='127.0.0.1', master_user='gotest', master_password='secret', master_use_gtid=slave_pos"
# Nobody listens on the port of 'orders'.
sql "CHANGE MASTER TO $from, master_port=$port; START SLAVE; CHANGE MASTER 'orders' TO $from, master_port=$((port + 2)); START SLAVE 'orders'"
wait_for 60 $$ settled || die "$(threads)"
out="one without a name: $(threads); $(check)"
sql "STOP SLAVE; RESET SLAVE ALL; CHANGE MASTER 'shop' TO $from, master_port=$port; START SLAVE 'shop'"
wait_for 60 $$ named_settled || die "$(threads)"
out+=$'\n'"all with names: $(threads); $(check)"
"$cache/mariadb1011/bin/mysqld" --version | sed 's/.*Ver/MariaDB/'
printf 'monitoring-plugins %s\n%s\n' "$version" "$out"
[ "$out" = "one without a name: '': Yes Yes,'orders': Connecting Yes; check_mysql: exit status 0, Slave IO: Yes Slave SQL: Yes Seconds Behind Master: 0
all with names: 'orders': Connecting Yes,'shop': Yes Yes; check_mysql: exit status 1, No slaves defined" ] || die 'that has changed'
