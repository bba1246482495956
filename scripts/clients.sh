#!/usr/bin/env bash
# clients.sh [-all] [SERVER...]   clients in other languages through `seqguard proxy`, and captures of them through `seqguard explain`
#
# Each client makes lawful use of a server (mysql9, mariadb1011, mariadb118; default: mysql9 mariadb118) through the proxy: in
# plaintext, over TLS with its secrets where it writes them or terminated where it does not, and compressed where it can. There must
# be no report, and no conversation that could not be followed. What passed is captured as well, and must look the same to
# `seqguard explain`, and packet for packet to tshark (compressed, as far as tshark gets: see compare.py). Captures of some clients
# are then mangled: segments that come twice and out of order must change nothing, and of lost ones nothing may be made up.
# Then the seed of this project, which must be reported as what it is.
#
# -all takes also those clients that take long to install or to build (R, Connector/C++, go-mysql), and the CLONE plugin; it mangles the
# captures of all clients, and follows a binary log for a minute instead of three seconds.
#
# Works as root on Debian (the clients are its packages and npm's); elsewhere with what is installed. A client that is missing is
# said, and fails the run if SEQGUARD_REQUIRE_SERVERS=1. OUT=FILE keeps the seed's output, SAVE=DIR the captures; ONLY=REGEX runs the
# clients that match.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
. "$here/clients/more.sh"
all='' mangled='^(pymysql|mariadb-dump|Connector/J|npm mariadb)$' follow=3
if [ "${1:-}" = -all ]; then
  shift
  all=1 mangled=. follow=60
fi
[ $# -gt 0 ] || set -- mysql9 mariadb118
export GOWORK=off TZ=UTC
work=$(mktemp -d -t clients.XXXXXX)
chmod 755 "$work"
shared=${SHARED:-$work}
jar=/usr/share/java/mariadb-java-client.jar
lost=0 again=0 server_dir='' server_name='' recipient='' capture_pid='' proxy_pid='' failures=0 runs=0 skipped=0 lanes=()
cleanup() {
  [ ${#lanes[@]} = 0 ] || kill "${lanes[@]}" 2>/dev/null || true
  [ -z "$capture_pid" ] || kill "$capture_pid" 2>/dev/null || true
  [ -z "$proxy_pid" ] || kill "$proxy_pid" 2>/dev/null || true
  [ -z "$server_dir" ] || "$here/servers.sh" stop "$server_dir" || true
  [ -z "$recipient" ] || "$here/servers.sh" stop "$recipient" || true
  [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT

packages() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  local missing=() p
  for p in tcpdump tshark python3 python3-pymysql python3-mysqldb python3-aiomysql python3-sqlalchemy php-cli php-mysql \
    libdbd-mysql-perl libdbd-mariadb-perl ruby-mysql2 mariadb-client sysbench odbc-mariadb unixodbc nodejs \
    libmariadb-java default-jdk-headless mydumper mycli lua5.3 lua-sql-mysql erlang-p1-mysql libmariadb-dev gcc libc6-dev \
    ${all:+r-cran-rmysql libmysqlcppconn-dev g++}; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
  done
  if [[ " ${missing[*]} " == *" default-jdk-headless "* ]] && command -v javac >/dev/null; then missing=("${missing[@]/default-jdk-headless/}"); fi
  if [[ " ${missing[*]} " == *" nodejs "* ]] && command -v node >/dev/null; then missing=("${missing[@]/nodejs/}"); fi
  read -ra missing <<<"${missing[*]}"
  [ ${#missing[@]} -eq 0 ] || {
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >"$work/apt" 2>&1 || {
      tail -5 "$work/apt"
      die 'apt-get install failed'
    }
  }
}

bad() {
  say "FAILED: $*"
  failures=$((failures + 1))
}

# listening PORT
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start_capture() {
  : >"$work/tcpdump" # that of the capture before says that it listens
  tcpdump -i lo --immediate-mode -B 32768 -U -w "$work/capture.pcap" "tcp port $port" 2>"$work/tcpdump" &
  capture_pid=$!
  wait_for 30 $capture_pid grep -q 'listening on' "$work/tcpdump" || die "no capture: $(cat "$work/tcpdump")"
}

stop_capture() {
  sleep 0.5
  kill "$capture_pid"
  wait "$capture_pid" 2>/dev/null || true
  capture_pid=
  lost=$(sed -n 's/^\([0-9]*\) packets* dropped by kernel$/\1/p' "$work/tcpdump")
}

start_proxy() {
  : >"$work/log"
  "$shared/seqguard" proxy -listen "127.0.0.1:$proxy_port" -server "127.0.0.1:$port" -json "$@" >"$work/json" 2>"$work/log" &
  proxy_pid=$!
  wait_for 30 $proxy_pid grep -q ' → ' "$work/log" || die "no proxy: $(cat "$work/log")"
}

stop_proxy() {
  kill "$proxy_pid"
  wait "$proxy_pid" || true
  proxy_pid=
}

# client NAME MODE COMMAND...   MODE: plain, tls (keys are written), terminate, compress; the command gets the port as $PORT.
client() {
  local name=$1 mode=$2 flags=() vars=() explain=() inflated=() out
  shift 2
  [[ "$name $mode" =~ ${ONLY:-.} ]] || return 0
  rm -f "$work/keys"
  case $mode in
  tls) flags=(-keylog "$work/keys") vars=(TLS=1 SSLKEYLOGFILE="$work/keys") explain=(-keylog "$work/keys") ;;
  terminate) flags=(-tls terminate -cert-out "$work/ca.pem") vars=(TLS=1 CA="$work/ca.pem") ;;
  compress) vars=(COMPRESS=1) ;;
  esac
  runs=$((runs + 1))
  start_proxy "${flags[@]}"
  start_capture
  out=ok
  env "${vars[@]}" PORT="$proxy_port" timeout 180 "$@" >"$work/out" 2>"$work/err" || out="status $?"
  sleep 0.2
  stop_proxy
  stop_capture
  if [ "${lost:-0}" != 0 ] && [ "${again:-0}" -lt 3 ]; then # a busy machine: what is not in the capture cannot be compared
    again=$((${again:-0} + 1))
    runs=$((runs - 1))
    client "$name" "$mode" "$@"
    return
  fi
  again=0
  [ "$out" = ok ] || { bad "$name $mode: $out: $(cat "$work/out" "$work/err" | grep -iE 'error|exception|caused' | tail -6 | cut -c1-300)$(tail -2 "$work/err" | cut -c1-300)" && return; }
  local line
  line=$(tail -1 "$work/log")
  [ ! -s "$work/json" ] || bad "$name $mode: reported: $(sed -E 's/.*"cause":"([a-z_]*)".*/\1/' "$work/json" | sort | uniq -c | tr '\n' ' ')"
  [[ $line == *' 0 violations'*' 0 untracked, 0 not seen' ]] || bad "$name $mode: $line"
  [ "$mode" != terminate ] || { say "ok: $name $mode: ${line##*ends: }" && return; } # the secrets of the server's side are nobody's
  "$shared/seqguard" explain -port "$port" -packets -rows -json "${explain[@]}" "$work/capture.pcap" >"$work/packets"
  if grep -q '"cause"' "$work/packets"; then bad "$name $mode: the capture: $(grep -o '"cause":"[a-z_]*"' "$work/packets" | sort | uniq -c | tr '\n' ' ')"; fi
  : >"$work/tshark"
  [ "$name" = CLONE ] || fields "$work/capture.pcap" "$work/tshark" # which loses its place in 80 MB of packets of 1 MiB, and takes minutes for it
  if [ "$mode" = compress ] || [ "$name" = CLONE ]; then
    python3 "$here/clients/inflate.py" "$port" "$work/capture.pcap" >"$work/inflated"
    inflated=("$work/inflated")
  fi
  if line="$line; $(python3 "$here/clients/compare.py" "$port" "$work/packets" "$work/tshark" "${inflated[@]}")"; then say "ok: $name $mode: ${line##*ends: }"; else bad "$name $mode: ${line##*ends: }"; fi
  [ -z "${SAVE:-}" ] || cp "$work/capture.pcap" "$SAVE/$(tr -c 'a-zA-Z0-9.\n' _ <<<"$server_name $name $mode").pcap"
  if [[ $name =~ $mangled && $mode != tls ]]; then mangle "$name $mode" "${inflated[@]}"; fi
}

# fields CAPTURE FILE: tshark's packets. Out of order is put right, what comes twice is left out, compressed frames are inflated.
fields() {
  tshark -r "$1" -d "tcp.port==$port,mysql" -o tcp.reassemble_out_of_order:TRUE -o "tls.keylog_file:$work/keys" -Y mysql \
    -T fields -e tcp.stream -e tcp.srcport -e mysql.packet_length -e mysql.packet_number -e mysql.compressed_packet_length_uncompressed >"$2" 2>"$work/tshark.err" || bad "tshark: $(tail -1 "$work/tshark.err")"
}

# mangle NAME [INFLATED]: the capture as networks and buffers leave one.
mangle() {
  local name=$1 what result pipelines=()
  shift
  [[ ! $name =~ ^(Connector/J|npm\ mariadb|CLONE) ]] || pipelines=(pipelines)
  for what in duplicate reorder; do
    python3 "$here/clients/mangle.py" $what "$port" "$work/capture.pcap" "$work/mangled.pcap"
    "$shared/seqguard" explain -port "$port" -packets -rows -json "$work/mangled.pcap" >"$work/mangled"
    if result=$(python3 "$here/clients/compare.py" "$port" "$work/mangled" "$work/tshark" "$@"); then
      if [ "$(stat -c %s "$work/mangled.pcap")" -lt 8000000 ]; then # of packets of many segments, out of order, it takes minutes
        fields "$work/mangled.pcap" "$work/tshark-mangled"
        python3 "$here/clients/compare.py" "$port" "$work/mangled" "$work/tshark-mangled" "$@" >/dev/null || result+=', which tshark does not make of this one'
      fi
      say "ok: $name, $what: $result"
    else
      bad "$name, $what: $result"
    fi
    ! grep -q '"cause"' "$work/mangled" || bad "$name, $what: $(told "$work/mangled")"
  done
  python3 "$here/clients/mangle.py" lose "$port" "$work/capture.pcap" "$work/mangled.pcap" >"$work/lost"
  "$shared/seqguard" explain -port "$port" -packets -rows -json "$work/mangled.pcap" >"$work/mangled"
  if result=$(python3 "$here/clients/lossy.py" "$work/packets" "$work/mangled" "$work/lost" "${pipelines[@]}"); then say "ok: $name, lose: $result"; else bad "$name, lose: $result"; fi
  ! grep -q '"cause"' "$work/mangled" || bad "$name, lose: $(told "$work/mangled")"
}

# have NAME COMMAND...: whether COMMAND succeeds; else the client is left out, and it is said.
have() {
  local name=$1
  shift
  "$@" >/dev/null 2>&1 && return
  say "NOT TESTED: $name is not installed"
  skipped=$((skipped + 1))
  return 1
}

python() { /usr/bin/python3 "$here/clients/python.py" "$1" 127.0.0.1 "$proxy_port"; }

all_clients() {
  local n py=/usr/bin/python3 c=$here/clients
  for n in pymysql mysqldb aiomysql sqlalchemy; do
    have "$n" $py -c "import ${n/mysqldb/MySQLdb}" || continue
    client "$n" plain env "LARGE=$all" $py "$c/python.py" "$n" 127.0.0.1 "$proxy_port"
    [ "$n" = mysqldb ] || client "$n" tls $py "$c/python.py" "$n" 127.0.0.1 "$proxy_port"
  done
  if have mysqldb $py -c 'import MySQLdb'; then client mysqldb compress $py "$c/python.py" mysqldb 127.0.0.1 "$proxy_port"; fi
  if have php php -r 'exit(extension_loaded("mysqli") ? 0 : 1);'; then
    for n in plain terminate compress; do client php "$n" php "$c/mysqli.php" 127.0.0.1 "$proxy_port"; done
  fi
  for n in mysql MariaDB; do
    have "DBD::$n" perl -MDBD::$n -e 1 || continue
    client "DBD::$n" plain perl "$c/dbi.pl" $n 127.0.0.1 "$proxy_port"
  done
  if have DBD::mysql perl -MDBD::mysql -e 1; then client DBD::mysql compress perl "$c/dbi.pl" mysql 127.0.0.1 "$proxy_port"; fi
  if have ruby-mysql2 ruby -rmysql2 -e 1; then client ruby-mysql2 plain ruby "$c/mysql2.rb" 127.0.0.1 "$proxy_port"; fi
  if have npm node -e 1 && npm_packages; then
    for n in mysql2 mysql mariadb; do
      client "npm $n" plain env NODE_PATH="$shared/npm/node_modules" node "$c/node.js" "$n" 127.0.0.1 "$proxy_port"
    done
    client 'npm mysql2' terminate env NODE_PATH="$shared/npm/node_modules" node "$c/node.js" mysql2 127.0.0.1 "$proxy_port"
    for n in mysql2 mariadb; do client "npm $n" compress env NODE_PATH="$shared/npm/node_modules" node "$c/node.js" "$n" 127.0.0.1 "$proxy_port"; done
  fi
  local account=(-h127.0.0.1 "-P$proxy_port" -ugotest -psecret) new=(--ssl-mode=DISABLED --get-server-public-key)
  if have mariadb-client command -v mariadb-dump; then
    client mariadb plain mariadb "${account[@]}" --skip-ssl gotest -e 'SELECT 1; DO 0; SHOW TABLES; SELECT REPEAT("x", 100000)'
    # shellcheck disable=SC2016 # for sh
    client 'mariadb tools' plain sh -c 'mariadb-admin "$@" ping status processlist && mariadb-check "$@" --databases shop && mariadb-slap "$@" -a -c 3 -i 2 --create-schema=slapped' - "${account[@]}" --skip-ssl
    all_dumps "$1"
  fi
  if [ "$1" = mysql9 ]; then # it has lost the plugin that MariaDB's accounts use
    client 'mysql 9.7' plain "$cache/mysql9/bin/mysql" "${account[@]}" "${new[@]}" gotest -e 'SELECT 1; DO 0; SHOW TABLES'
    client 'mysql 9.7' compress "$cache/mysql9/bin/mysql" "${account[@]}" "${new[@]}" --compression-algorithms=zlib gotest -e 'SELECT 1; SELECT REPEAT("x", 100000)'
    client 'mysql 9.7' terminate "$cache/mysql9/bin/mysql" "${account[@]}" --ssl-mode=REQUIRED gotest -e 'SELECT 1; SELECT REPEAT("x", 100000)'
    local tools=$cache/mysql9tools/bin
    client 'mysqldump 9.7' plain "$tools/mysqldump" "${account[@]}" "${new[@]}" --all-databases --single-transaction --routines --events --source-data=2
    client 'mysqldump 9.7, skip-opt' plain "$tools/mysqldump" "${account[@]}" "${new[@]}" --skip-opt --skip-extended-insert --hex-blob shop
    client 'mysqldump 9.7' compress "$tools/mysqldump" "${account[@]}" "${new[@]}" --compression-algorithms=zlib shop
    client 'mysqldump 9.7' terminate "$tools/mysqldump" "${account[@]}" --ssl-mode=REQUIRED shop
    binlogs 'mysqlbinlog 9.7' "$tools/mysqlbinlog" "${new[@]}"
    client 'mysqlbinlog 9.7' compress "$tools/mysqlbinlog" "${account[@]}" "${new[@]}" --compression-algorithms=zlib --read-from-remote-server binlog.000001
    client 'mysqlbinlog 9.7' terminate "$tools/mysqlbinlog" "${account[@]}" --ssl-mode=REQUIRED --read-from-remote-server binlog.000001
  fi
  if have mydumper command -v mydumper; then
    mkdir -p "$work/dumped-$1"
    local md=(-h 127.0.0.1 -P "$proxy_port" -u gotest -p secret)
    # --complete-insert: without it the last row of a file may lack the names of its columns (findings/mydumper-last-row.sh).
    client mydumper plain mydumper "${md[@]}" --complete-insert -B shop -t 4 -r 500 -o "$work/dumped-$1"
    client mydumper compress mydumper "${md[@]}" -C -B shop -t 2 -o "$work/dumped-$1-c"
    client myloader plain myloader "${md[@]}" -d "$work/dumped-$1" -B restored -o -t 2
  fi
  if have mycli command -v mycli; then
    client mycli plain env "HOME=$work" LC_ALL=C.UTF-8 mycli -h 127.0.0.1 -P "$proxy_port" -u gotest -psecret gotest -e 'SELECT 1; SHOW TABLES'
    client mycli terminate env "HOME=$work" LC_ALL=C.UTF-8 mycli --ssl-ca "$work/ca.pem" -h 127.0.0.1 -P "$proxy_port" -u gotest -psecret gotest -e 'SELECT 1; SHOW TABLES'
  fi
  if have Connector/J test -f "$jar" && have javac command -v javac; then
    [ -f "$work/ConnectorJ.class" ] || javac -d "$work" -cp "$jar" "$c/ConnectorJ.java"
    client Connector/J plain java -cp "$jar:$work" ConnectorJ 127.0.0.1 "$proxy_port"
    client Connector/J terminate java -cp "$jar:$work" ConnectorJ 127.0.0.1 "$proxy_port" useSsl=true trustServerCertificate=true
    client Connector/J compress java -cp "$jar:$work" ConnectorJ 127.0.0.1 "$proxy_port" useCompression=true
  fi
  if have sysbench command -v sysbench; then
    local sb=(sysbench oltp_read_write --mysql-host=127.0.0.1 "--mysql-port=$proxy_port" --mysql-user=gotest --mysql-password=secret --mysql-db=gotest --tables=1 --table-size=500)
    client sysbench plain sh -c '"$@" prepare && "$@" --threads=4 --events=200 --time=0 run && "$@" cleanup' - "${sb[@]}"
  fi
  local odbc
  odbc=$(find /usr/lib -name libmaodbc.so -print -quit 2>/dev/null || true)
  if have odbc-mariadb test -n "$odbc"; then
    client odbc-mariadb plain sh -c "printf 'SELECT 1\nhelp\n\nquit\n' | isql -b -k 'Driver=$odbc;Server=127.0.0.1;Port=$proxy_port;User=gotest;Password=secret;Database=gotest'"
  fi
  light "$1"
  if [ -n "$all" ]; then heavy "$1"; else say 'NOT TESTED without -all: RMySQL, Connector/C++, go-mysql, CLONE, packets of 17 MiB'; fi
}

all_dumps() {
  local plain=("${account[@]}" --skip-ssl)
  client mariadb-dump plain mariadb-dump "${plain[@]}" --databases shop --single-transaction --routines --events --triggers
  case $1 in
  mysql9) client 'mariadb-dump, all' plain mariadb-dump "${plain[@]}" --all-databases --hex-blob ;;
  *) # MySQL 9.7 does not know COM_REFRESH, NO_KEY_OPTIONS and SHOW MASTER STATUS any more, and mariadb-binlog does not know it
    client 'mariadb-dump, all' plain mariadb-dump "${plain[@]}" --all-databases --hex-blob --flush-logs --master-data=2
    client 'mariadb-dump, skip-opt' plain mariadb-dump "${plain[@]}" --skip-opt --skip-extended-insert shop
    local reader=mariadb-binlog # 10.11's does not know a later server
    [ "$1" != mariadb118 ] || reader=$cache/mariadb118tools/bin/mariadb-binlog
    binlogs mariadb-binlog "$reader" --skip-ssl
    ;;
  esac
  client mariadb-dump compress mariadb-dump "${plain[@]}" --compress shop
  client mariadb-dump terminate mariadb-dump "${account[@]}" --ssl shop
}

# binlogs NAME COMMAND...: reads the first binary log to its end, and follows the last one for a while, as things are written to it.
binlogs() {
  local name=$1
  shift
  client "$name" plain "$@" "${account[@]}" --read-from-remote-server binlog.000001
  # shellcheck disable=SC2016 # for sh
  client "$name, stop-never" plain sh -c 'n=$1 sock=$2 mysql=$3; shift 3
    (for i in $(seq $((n * 2))); do sleep 0.4; echo "INSERT INTO shop.orders (v) SELECT REPEAT(id, 50) FROM shop.orders LIMIT 100;"; done | "$mysql" -uroot -S "$sock") &
    timeout "$n" "$@" >"${TMPDIR:-/tmp}/binlog.$$"; status=$?; wait; grep -c INSERT "${TMPDIR:-/tmp}/binlog.$$"; rm "${TMPDIR:-/tmp}/binlog.$$"; [ $status = 124 ]' \
    - "$follow" "$server_dir/s.sock" "$cache/$server_name/bin/mysql" "$@" "${account[@]}" --read-from-remote-server --stop-never binlog.000001
}

npm_packages() {
  [ -d "$shared/npm/node_modules" ] && return
  mkdir -p "$shared/npm"
  (cd "$shared/npm" && npm install --silent --no-audit --no-fund mysql2@3.24.6 mysql@2.18.1 mariadb@3.5.4) >"$work/npm.log" 2>&1 || {
    say "NOT TESTED: npm install failed: $(tail -1 "$work/npm.log")"
    skipped=$((skipped + 1))
    return 1
  }
}

# told FILE: the causes in it, each once.
told() { grep -o '"cause":"[a-z_]*"' "$1" | cut -d'"' -f4 | sort -u | tr '\n' ' '; }

# seed WHAT MODE WANTED...: WANTED is what the proxy, and the capture, must say.
seed() {
  local what=$1 mode=$2 vars=() flags=() got
  shift 2
  rm -f "$work/keys"
  : >"$work/keys"
  [ "$mode" = plain ] || { vars=(TLS=1 SSLKEYLOGFILE="$work/keys") && flags=(-keylog "$work/keys"); }
  start_proxy "${flags[@]}"
  start_capture
  env "${vars[@]}" /usr/bin/python3 "$here/clients/seed.py" "$what" 127.0.0.1 "$proxy_port" >"$work/out" 2>&1 || bad "seed $what: $(tail -1 "$work/out")"
  sleep 0.2
  stop_proxy
  stop_capture
  cp "$work/capture.pcap" "$work/seed-$what-$mode.pcap"
  "$shared/seqguard" explain -port "$port" "${flags[@]}" -json "$work/capture.pcap" >"$work/explained"
  [ -z "${OUT:-}" ] || { printf '\n== %s, %s\n' "$what" "$mode" && cat "$work/out" && cat "$work/log" && "$shared/seqguard" explain -port "$port" "${flags[@]}" "$work/capture.pcap"; } >>"$OUT"
  for got in json explained; do
    if [ "$(told "$work/$got")" = "$*${*:+ }" ]; then say "ok: seed $what $mode, $got: ${*:-nothing}"; else bad "seed $what $mode, $got: $(told "$work/$got"), want ${*:-nothing}"; fi
  done
}

packages
for name in mysql9 mariadb118; do
  if [[ " $* " == *" $name "* ]]; then "$here/servers.sh" fetch "${name}tools"; fi
done
"$here/servers.sh" fetch exporter
if [ -z "${SHARED:-}" ]; then
  (cd "$here/../cmd/seqguard" && go build -o "$work/seqguard" .)
fi
# A run of its own for each of several servers, beside each other: much of it is waiting. SHARED is what they have in common.
if [ $# -gt 1 ]; then
  if command -v node >/dev/null; then npm_packages || true; fi # what is missing is said there
  port=${PORT:-23940} names=("$@")
  for name in "$@"; do
    SHARED=$work PORT=$port "$0" ${all:+-all} "$name" >"$work/$name.log" 2>&1 &
    lanes+=($!)
    port=$((port - 40))
  done
  failed=''
  for i in "${!lanes[@]}"; do
    wait "${lanes[i]}" || failed+=" ${names[i]}"
    sed "s/^/${names[i]}: /" "$work/${names[i]}.log"
  done
  lanes=()
  [ -z "$failed" ] || die "failed:$failed"
  exit
fi
port=${PORT:-23940} proxy_port=$((${PORT:-23940} + 1)) # below the range from which clients get theirs
for name in "$@"; do
  server_dir=$work/$name
  server_name=$name
  "$here/servers.sh" start "$name" "$server_dir" "$port" --log-bin=binlog --server-id=1 --event-scheduler=OFF --local-infile=ON --max-allowed-packet=64M
  "$cache/$name/bin/mysql" -uroot -S "$server_dir/s.sock" <"$here/clients/shop.sql"
  all_clients "$name"
  if [ "$name" = mysql9 ] && have 'sqlalchemy and aiomysql' /usr/bin/python3 -c 'import sqlalchemy, aiomysql'; then
    "$here/servers.sh" cli "$name" -h127.0.0.1 "-P$port" -uroot -e 'SET GLOBAL connect_timeout = 2'
    for mode in plain tls; do
      seed reconnect "$mode"
      seed stall "$mode" login_stalled_locally
      seed gather "$mode" concurrent_use
    done
  fi
  "$here/servers.sh" stop "$server_dir"
  server_dir=
  port=$((port + 2)) proxy_port=$((proxy_port + 2))
done
say "clients: $runs runs, $failures failures, $skipped not tested"
[ "$failures" = 0 ] || die 'see above'
[ "$skipped" = 0 ] || [ "${SEQGUARD_REQUIRE_SERVERS:-}" != 1 ] || die 'all clients must be there'
