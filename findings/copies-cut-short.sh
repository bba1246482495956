#!/usr/bin/env bash
# copies-cut-short.sh: three programs that copy tables out of a MySQL server take every end of the rows for the end of the table. One
# expects the error that the server sent, or "Lost connection", if a statement ends early (KILL, max_statement_time, a restart, a
# failover, net_write_timeout when the reader is slow). But all that came until then is kept, and there is no error and no warning:
#
# - GDAL's ogr2ogr: the exit status is 0, and the file has the first rows.
# - MariaDB's CONNECT engine, table type MYSQL with HUGE=1 (for tables that do not fit into memory): CREATE TABLE … SELECT succeeds.
#   Without HUGE it fails with the remote error.
# - mysql_fdw, PostgreSQL's foreign tables in MySQL: CREATE TABLE … AS succeeds. (Not so if there are columns of variable length: then it
#   stores all rows before it hands on the first.)
#
# A capture shows it, for there the rows end in an ERR or in nothing. Somebody who looks at the copy's side finds a copy that ended well.
#
# Below, GDAL and CONNECT read a view whose row 1000 is an error, and the connection of mysql_fdw is killed while it is at row 150.
# Run with gdal-bin 3.6.2+dfsg-1+b2, mariadb-plugin-connect 1:10.11.19-0+deb12u1, postgresql-15-mysql-fdw 2.8.0-4 (its source of July 2025
# has the same lines) and MariaDB 10.11 of the cache (scripts/servers.sh). Fails if it is otherwise. Needs Debian 12 with its packages.
# Output seen: the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
postgres=
stop() {
  [ -z "$postgres" ] || { kill -INT "$postgres" && wait "$postgres"; } 2>/dev/null || true
  "$scripts/servers.sh" stop "$dir/server" || true
  rm -rf "$dir"
}
trap stop EXIT
port=${PORT:-23998}
cd "$dir"
mkdir -p debs/partial pg
apt-get install -qq -y --download-only --reinstall --no-install-recommends -o Dir::Cache::archives="$dir/debs" gdal-bin=3.6.2+dfsg-1+b2 \
  libgdal32=3.6.2+dfsg-1+b2 libmariadb3=1:10.11.19-0+deb12u1 mariadb-plugin-connect=1:10.11.19-0+deb12u1 postgresql-15-mysql-fdw=2.8.0-4 \
  postgresql-15=15.18-0+deb12u1 postgresql-client-15=15.18-0+deb12u1 >log 2>&1 || die "$(tail -5 log)"
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
for lib in root/usr/lib/*-linux-gnu; do export LD_LIBRARY_PATH=$dir/$lib:$dir/$lib/blas:$dir/$lib/lapack:$dir/root/usr/lib; done
"$scripts/servers.sh" start mariadb1011 "$dir/server" "$port" --plugin-dir="$dir/root/usr/lib/mysql/plugin" >/dev/null
sql() { "$cache/mariadb1011/bin/mysql" -uroot -S "$dir/server/s.sock" -N --delimiter=// gotest -e "$1" 2>&1; }
sql "CREATE TABLE n (id INT PRIMARY KEY);
  INSERT INTO n SELECT seq FROM seq_1_to_1000;
  CREATE VIEW v AS SELECT id, REPEAT('x', 1000) AS text, (SELECT 1 UNION ALL SELECT 2 FROM n m WHERE m.id = n.id AND m.id = 1000) AS one FROM n"

gdal() {
  local status=0
  GDAL_DATA=$dir/root/usr/share/gdal root/usr/bin/ogr2ogr -f CSV copy.csv "MYSQL:gotest,host=127.0.0.1,port=$port,user=gotest,password=secret" \
    -sql 'SELECT * FROM v ORDER BY id' >said 2>&1 || status=$?
  say "ogr2ogr: exit status $status, says '$(cat said)', rows: $(grep -c xxx copy.csv)"
}

connect() {
  local huge remote
  sql "INSTALL SONAME 'ha_connect'"
  for huge in 0 1; do
    remote="ENGINE=CONNECT TABLE_TYPE=MYSQL HUGE=$huge CONNECTION='mysql://gotest:secret@127.0.0.1:$port/gotest/v'"
    say "CONNECT, HUGE=$huge: $(sql "CREATE TABLE far$huge (id INT NOT NULL, text VARCHAR(1000), one INT) $remote; CREATE TABLE near$huge SELECT * FROM far$huge;
      SELECT CONCAT('warnings: ', @@warning_count); SELECT CONCAT('rows: ', COUNT(*)) FROM near$huge" | sed -n 's/ *Got error.*failed: / /; s/^ERROR/&/p; /^[wr]/p' | paste -sd ' ')"
  done
}

fdw() {
  local bin=$dir/root/usr/lib/postgresql/15/bin copy
  give pg
  "${as_server[@]}" "$bin/initdb" -D "$dir/pg/data" -U postgres -A trust --no-sync >log 2>&1 || die "$(tail -5 log)"
  "${as_server[@]}" "$bin/postgres" -D "$dir/pg/data" -k "$dir/pg" -c listen_addresses= >log 2>&1 &
  postgres=$!
  psql() { "$bin/psql" -h "$dir/pg" -U postgres -XAtq -c "$1" 2>&1; }
  wait_for 30 "$postgres" psql 'SELECT 1' || die "$(cat log)"
  psql "CREATE EXTENSION mysql_fdw;
    CREATE SERVER s FOREIGN DATA WRAPPER mysql_fdw OPTIONS (host '127.0.0.1', port '$port');
    CREATE USER MAPPING FOR postgres SERVER s OPTIONS (username 'gotest', password 'secret');
    CREATE FOREIGN TABLE n (id INT) SERVER s OPTIONS (dbname 'gotest', table_name 'n');
    CREATE SEQUENCE reached;
    CREATE FUNCTION slow(id INT) RETURNS INT LANGUAGE plpgsql AS \$\$ BEGIN
      IF id = 150 THEN PERFORM nextval('reached'); PERFORM pg_sleep(3); END IF;
      RETURN id;
    END \$\$"
  psql 'CREATE TABLE copy AS SELECT slow(id) FROM n' >said &
  copy=$!
  reached() { [ "$(psql 'SELECT is_called FROM reached')" = t ]; }
  wait_for 60 "$copy" reached
  sql "BEGIN NOT ATOMIC DECLARE c INT; SET c = (SELECT MAX(id) FROM information_schema.processlist WHERE user = 'gotest'); KILL c; END"
  wait "$copy" || die "$(cat said)"
  say "mysql_fdw: says '$(cat said)', rows: $(psql 'SELECT count(*) FROM copy')"
}

"$cache/mariadb1011/bin/mysqld" --version | sed 's/.*Ver/MariaDB/'
gdal >out
connect >>out
fdw >>out
cat out
[ "$(cat out)" = "ogr2ogr: exit status 0, says '', rows: 999
CONNECT, HUGE=0: ERROR 1296 (HY000) at line 1: Subquery returns more than 1 row' from CONNECT
CONNECT, HUGE=1: warnings: 0 rows: 999
mysql_fdw: says '', rows: 200" ] || die 'that has changed'
