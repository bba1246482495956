#!/usr/bin/env bash
# tdbc-luadbi-values.sh: two drivers that read every row as the binary protocol has it, Tcl's tdbc::mysql and Lua's LuaDBI, do not ask
# whether a column is unsigned. One expects the number that the server has sent, or an error. But:
#
# - INT UNSIGNED from 2147483648 on and BIGINT UNSIGNED from 9223372036854775808 on arrive as negative numbers, with both. So does every
#   other CRC32(). With LuaDBI TINYINT UNSIGNED from 128 and SMALLINT UNSIGNED from 32768 do so too.
# - The number that was read, sent back in a WHERE, finds nothing.
# - LuaDBI gives a BIGINT as a floating-point number, although Lua 5.3 has integers of 64 bits: from 2^53 on the last digits are not those
#   of the table. Of a TIME it leaves out the sign (and the fraction of a second), and of one of 100 hours or more the last digit.
#
# The binary row says nothing of the sign: that stands in the flags of the column's definition (UNSIGNED, 0x20), which a capture shows
# before the rows. LuaSQL, which reads text, has all of these right.
#
# Run with Debian 12's tcl8.6-tdbc-mysql 1.1.5-1, lua-dbi-mysql 0.7.2-4, lua-sql-mysql 2.6.0-2 (the sources of tdbc::mysql and of July
# 2025's LuaDBI have the same lines) and MariaDB 10.11 of the cache (scripts/servers.sh). Their manuals and issues do not speak of it.
# Fails if it is otherwise. Needs Debian 12 with its packages. Output seen: the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23985}
"$scripts/servers.sh" start mariadb1011 "$dir/server" "$port" >/dev/null
mkdir -p "$dir/program/debs/partial"
cd "$dir/program"
apt-get install -qq -y --download-only --reinstall --no-install-recommends -o Dir::Cache::archives="$PWD/debs" tcl8.6-tdbc-mysql=1.1.5-1 \
  tcl8.6-tdbc=1.1.5-1 tcl8.6=8.6.13+dfsg-2 libtcl8.6=8.6.13+dfsg-2 lua5.3=5.3.6-2 lua-dbi-mysql=0.7.2-4 lua-dbi-common=0.7.2-4 \
  lua-sql-mysql=2.6.0-2 libmariadb3=1:10.11.19-0+deb12u1 >log 2>&1 || die "$(tail -5 log)"
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
"$cache/mariadb1011/bin/mysql" -uroot -S "$dir/server/s.sock" gotest -e "
  CREATE TABLE numbers (tiny TINYINT UNSIGNED, small SMALLINT UNSIGNED, id INT UNSIGNED, big BIGINT UNSIGNED, long_ BIGINT, early TIME, late TIME);
  INSERT INTO numbers VALUES (200, 40000, 3000000000, 10000000000000000001, 9007199254740993, '-01:30:00', '100:00:07')"
columns='tiny small id big long_ early late crc'
select="SELECT *, CRC32('tcl') AS crc FROM numbers"
cat >main.tcl <<'TCL'
lassign $argv port select columns
lappend auto_path root/usr/lib/tcltk
package require tdbc::mysql
tdbc::mysql::connection create db -host 127.0.0.1 -port $port -user gotest -password secret -database gotest
set row [lindex [db allrows $select] 0]
puts "tdbc::mysql: [lmap name $columns {dict get $row $name}]"
set id [dict get $row id]
puts "tdbc::mysql: rows with the id that was read: [llength [db allrows {SELECT id FROM numbers WHERE id = :id}]]"
TCL
cat >main.lua <<'LUA'
local port, sql, columns = arg[1], arg[2], {}
for name in arg[3]:gmatch('%S+') do columns[#columns + 1] = name end
local function say(name, row)
  local values = {}
  for i, column in ipairs(columns) do values[i] = type(row[column]) == 'number' and ('%.0f'):format(row[column]) or row[column] end
  print(name .. ': ' .. table.concat(values, ' '))
end
local dbi = assert(require('DBI').Connect('MySQL', 'gotest', 'gotest', 'secret', '127.0.0.1', port))
local statement = assert(dbi:prepare(sql))
assert(statement:execute())
local row = statement:fetch(true)
say('LuaDBI', row)
statement = assert(dbi:prepare('SELECT id FROM numbers WHERE id = ?'))
assert(statement:execute(row.id))
print('LuaDBI: rows with the id that was read: ' .. statement:rowcount())
local luasql = assert(require('luasql.mysql').mysql():connect('gotest', 'gotest', 'secret', '127.0.0.1', tonumber(port)))
say('LuaSQL', assert(luasql:execute(sql)):fetch({}, 'a'))
LUA
libraries=$(echo "$PWD"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH=$libraries TCL_LIBRARY=$PWD/root/usr/share/tcltk/tcl8.6
export LUA_PATH_5_3="$PWD/root/usr/share/lua/5.3/?.lua" LUA_CPATH_5_3="$libraries/lua/5.3/?.so"
out="columns: $columns
$(root/usr/bin/tclsh8.6 main.tcl "$port" "$select" "$columns" 2>&1)
$(root/usr/bin/lua5.3 main.lua "$port" "$select" "$columns" 2>&1)"
say "$out"
[ "$out" = "columns: tiny small id big long_ early late crc
tdbc::mysql: 200 40000 -1294967296 -8446744073709551615 9007199254740993 -01:30:00 100:00:07 -1502802807
tdbc::mysql: rows with the id that was read: 0
LuaDBI: -56 -25536 -1294967296 -8446744073709551616 9007199254740992 01:30:00 100:00:0 -1502802807
LuaDBI: rows with the id that was read: 0
LuaSQL: 200 40000 3000000000 10000000000000000001 9007199254740993 -01:30:00 100:00:07 2792164489" ] || die 'that has changed'
