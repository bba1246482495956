#!/usr/bin/env bash
# ptarchiver-bulk-insert.sh: pt-archiver --bulk-insert deletes rows that it has not archived. It moves rows to another table, and its
# manual says of this option, for the safety of the data, that it deletes when the insertion was successful. One expects what happens
# without it: a row that the other table does not take ends the run with an error, and nothing is deleted. But it inserts with LOAD DATA
# LOCAL INFILE, which, being LOCAL, makes a warning of each error as if IGNORE were there. pt-archiver asks neither for the warnings nor
# whether as many rows were inserted as are about to be deleted:
#
# - A row whose unique key the other table has already is in neither table afterwards.
# - A text that is too long for the other table's column is cut off.
#
# The exit status is 0, and nothing is printed. The option --ignore, which would ask for this, is not given. The signs: with --statistics
# INSERT is less than DELETE; on the wire, the OK behind the file counts skipped rows and warnings, and a DELETE of the whole range
# follows.
#
# Below, the same rows are archived without the option and with it. Run with percona-toolkit 3.2.1-1 (the source of 3.5.7 has the same
# lines), DBD::mysql 4.050-5+b1 and MariaDB 10.11 of the cache (scripts/servers.sh). Fails if it is otherwise. Needs Perl and Debian 12's
# packages. The manual of MySQL says that LOCAL ignores errors, but not that of pt-archiver. Output seen: at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=3.2.1-1
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23989}
"$scripts/servers.sh" start mariadb1011 "$dir/server" "$port" >/dev/null
mkdir -p "$dir/program/debs/partial"
cd "$dir/program"
apt-get install -qq -y --download-only --reinstall --no-install-recommends -o Dir::Cache::archives="$PWD/debs" "percona-toolkit=$version" \
  libdbd-mysql-perl=4.050-5+b1 libdbi-perl=1.643-4+deb12u3 libmariadb3=1:10.11.19-0+deb12u1 >log 2>&1 || die "$(tail -5 log)"
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
sql() { "$cache/mariadb1011/bin/mysql" -uroot -S "$dir/server/s.sock" -N gotest -e "$1" | tr '\t' ' ' | paste -sd ,; }

archive() { # OPTION...
  local status=0
  sql "CREATE OR REPLACE TABLE orders (id INT PRIMARY KEY, number VARCHAR(10), note VARCHAR(40));
    INSERT INTO orders VALUES (1, 'A-1', 'none'), (2, 'A-2', 'urgent'), (3, 'A-3', 'to the back door'), (4, 'A-4', 'none');
    CREATE OR REPLACE TABLE archive (id INT PRIMARY KEY, number VARCHAR(10) UNIQUE, note VARCHAR(10));
    INSERT INTO archive VALUES (90, 'A-2', 'other')" >/dev/null
  libraries=$(echo "$PWD"/root/usr/lib/*-linux-gnu)
  modules=$(echo "$libraries"/perl5/*)
  LD_LIBRARY_PATH=$libraries PERL5LIB=$modules:$PWD/root/usr/share/perl5 perl root/usr/bin/pt-archiver --no-version-check --commit-each --limit 10 \
    --source "h=127.0.0.1,P=$port,u=gotest,p=secret,D=gotest,t=orders,L=1" --dest t=archive --where 'id > 0' --no-safe-auto-increment \
    "$@" >said 2>&1 || status=$?
  [ "$status" = 0 ] || status=failed
  say "${*:-no option}: status $status, says '$(sed 's/.*\(Duplicate entry [^ ]*\).*/\1/; /^\([a-z_]\|Started\|Source\|Dest\|SELECT\|Action\)/d' said | paste -sd ' ')'"
  say "  orders: $(sql 'SELECT * FROM orders ORDER BY id' | sed 's/^$/none/')"
  say "  archive: $(sql 'SELECT * FROM archive ORDER BY id')"
}

out=$(archive && archive --bulk-insert && archive --bulk-insert --statistics)
printf 'pt-archiver %s\n%s\n' "$version" "$out"
[ "$out" = "no option: status failed, says 'Duplicate entry 'A-2''
  orders: 1 A-1 none,2 A-2 urgent,3 A-3 to the back door,4 A-4 none
  archive: 90 A-2 other
--bulk-insert: status 0, says ''
  orders: none
  archive: 1 A-1 none,3 A-3 to the bac,4 A-4 none,90 A-2 other
--bulk-insert --statistics: status 0, says 'INSERT 3 DELETE 4'
  orders: none
  archive: 1 A-1 none,3 A-3 to the bac,4 A-4 none,90 A-2 other" ] || die 'that has changed'
