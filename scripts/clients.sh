#!/usr/bin/env bash
# clients.sh [SERVER...]   clients in other languages through `seqguard proxy`, and captures of them through `seqguard explain`
#
# Each client makes lawful use of a server (mysql9, mariadb1011, mariadb118; default: mysql9 mariadb118) through the proxy: in
# plaintext, over TLS with its secrets where it writes them or terminated where it does not, and compressed where it can. There must
# be no report, and no conversation that could not be followed. What passed is captured as well, and must look the same to
# `seqguard explain`, and packet for packet to tshark. Then the seed of this project, which must be reported as what it is.
#
# Works as root on Debian (the clients are its packages and npm's); elsewhere with what is installed. A client that is missing is
# said, and fails the run if SEQGUARD_REQUIRE_SERVERS=1. OUT=FILE keeps the seed's output.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
[ $# -gt 0 ] || set -- mysql9 mariadb118
export GOWORK=off
work=$(mktemp -d -t clients.XXXXXX)
chmod 755 "$work"
server_dir='' capture_pid='' proxy_pid='' failures=0 runs=0 skipped=0
cleanup() {
  [ -z "$capture_pid" ] || kill "$capture_pid" 2>/dev/null || true
  [ -z "$proxy_pid" ] || kill "$proxy_pid" 2>/dev/null || true
  [ -z "$server_dir" ] || "$here/servers.sh" stop "$server_dir" || true
  [ -n "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT

packages() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  local missing=() p
  for p in tcpdump tshark python3 python3-pymysql python3-mysqldb python3-aiomysql python3-sqlalchemy php-cli php-mysql \
    libdbd-mysql-perl libdbd-mariadb-perl ruby-mysql2 mariadb-client sysbench odbc-mariadb unixodbc nodejs; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
  done
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
  tcpdump -i lo --immediate-mode -B 32768 -U -w "$work/capture.pcap" "tcp port $port" 2>"$work/tcpdump" &
  capture_pid=$!
  wait_for 10 $capture_pid grep -q 'listening on' "$work/tcpdump" || die "no capture: $(cat "$work/tcpdump")"
}

stop_capture() {
  sleep 0.5
  kill "$capture_pid"
  wait "$capture_pid" 2>/dev/null || true
  capture_pid=
}

start_proxy() {
  : >"$work/log"
  "$work/seqguard" proxy -listen "127.0.0.1:$proxy_port" -server "127.0.0.1:$port" -json "$@" >"$work/json" 2>"$work/log" &
  proxy_pid=$!
  wait_for 10 $proxy_pid grep -q ' → ' "$work/log" || die "no proxy: $(cat "$work/log")"
}

stop_proxy() {
  kill "$proxy_pid"
  wait "$proxy_pid" || true
  proxy_pid=
}

# client NAME MODE COMMAND...   MODE: plain, tls (keys are written), terminate, compress; the command gets the port as $PORT.
client() {
  local name=$1 mode=$2 flags=() vars=() explain=() out
  shift 2
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
  env "${vars[@]}" PORT="$proxy_port" timeout 60 "$@" >"$work/out" 2>&1 || out="status $?"
  sleep 0.2
  stop_proxy
  stop_capture
  [ "$out" = ok ] || { bad "$name $mode: $out: $(tail -3 "$work/out" | cut -c1-300)" && return; }
  local line
  line=$(tail -1 "$work/log")
  [ ! -s "$work/json" ] || bad "$name $mode: reported: $(sed -E 's/.*"cause":"([a-z_]*)".*/\1/' "$work/json" | sort | uniq -c | tr '\n' ' ')"
  [[ $line == *' 0 violations'*' 0 untracked, 0 not seen' ]] || bad "$name $mode: $line"
  [ "$mode" != terminate ] || { say "ok: $name $mode: ${line##*ends: }" && return; } # the secrets of the server's side are nobody's
  "$work/seqguard" explain -port "$port" -packets -rows -json "${explain[@]}" "$work/capture.pcap" >"$work/packets"
  if grep -q '"cause"' "$work/packets"; then bad "$name $mode: the capture: $(grep -o '"cause":"[a-z_]*"' "$work/packets" | sort | uniq -c | tr '\n' ' ')"; fi
  if [ "$mode" = compress ]; then
    say "ok: $name $mode: ${line##*ends: }" # tshark does not look into compressed frames
    return
  fi
  tshark -r "$work/capture.pcap" -d "tcp.port==$port,mysql" -o tcp.reassemble_out_of_order:TRUE -o "tls.keylog_file:$work/keys" -Y mysql \
    -T fields -e tcp.stream -e tcp.srcport -e mysql.packet_length -e mysql.packet_number >"$work/tshark" 2>"$work/tshark.err" || bad "tshark: $(tail -1 "$work/tshark.err")"
  if line="$line; $(python3 "$here/clients/compare.py" "$port" "$work/packets" "$work/tshark")"; then say "ok: $name $mode: ${line##*ends: }"; else bad "$name $mode: ${line##*ends: }"; fi
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
    client "$n" plain $py "$c/python.py" "$n" 127.0.0.1 "$proxy_port"
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
      client "npm $n" plain env NODE_PATH="$work/npm/node_modules" node "$c/node.js" "$n" 127.0.0.1 "$proxy_port"
    done
    client 'npm mysql2' terminate env NODE_PATH="$work/npm/node_modules" node "$c/node.js" mysql2 127.0.0.1 "$proxy_port"
    for n in mysql2 mariadb; do client "npm $n" compress env NODE_PATH="$work/npm/node_modules" node "$c/node.js" "$n" 127.0.0.1 "$proxy_port"; done
  fi
  local account=(-h127.0.0.1 "-P$proxy_port" -ugotest -psecret)
  if have mariadb-client command -v mariadb-dump; then
    client mariadb plain mariadb "${account[@]}" --skip-ssl gotest -e 'SELECT 1; DO 0; SHOW TABLES; SELECT REPEAT("x", 100000)'
    client mariadb-dump plain mariadb-dump "${account[@]}" --skip-ssl mysql --tables user
  fi
  if [ "$1" = mysql9 ]; then # it has lost the plugin that MariaDB's accounts use
    client 'mysql 9.7' plain "$cache/mysql9/bin/mysql" "${account[@]}" --ssl-mode=DISABLED --get-server-public-key gotest -e 'SELECT 1; DO 0; SHOW TABLES'
    client 'mysql 9.7' compress "$cache/mysql9/bin/mysql" "${account[@]}" --ssl-mode=DISABLED --get-server-public-key --compression-algorithms=zlib gotest -e 'SELECT 1; SELECT REPEAT("x", 100000)'
    client 'mysql 9.7' terminate "$cache/mysql9/bin/mysql" "${account[@]}" --ssl-mode=REQUIRED gotest -e 'SELECT 1; SELECT REPEAT("x", 100000)'
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
}

npm_packages() {
  [ -d "$work/npm/node_modules" ] && return
  mkdir -p "$work/npm"
  (cd "$work/npm" && npm install --silent --no-audit --no-fund mysql2@3.24.6 mysql@2.18.1 mariadb@3.5.4) >"$work/npm.log" 2>&1 || {
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
  "$work/seqguard" explain -port "$port" "${flags[@]}" -json "$work/capture.pcap" >"$work/explained"
  [ -z "${OUT:-}" ] || { printf '\n== %s, %s\n' "$what" "$mode" && cat "$work/out" && cat "$work/log" && "$work/seqguard" explain -port "$port" "${flags[@]}" "$work/capture.pcap"; } >>"$OUT"
  for got in json explained; do
    if [ "$(told "$work/$got")" = "$*${*:+ }" ]; then say "ok: seed $what $mode, $got: ${*:-nothing}"; else bad "seed $what $mode, $got: $(told "$work/$got"), want ${*:-nothing}"; fi
  done
}

packages
(cd "$here/../cmd/seqguard" && go build -o "$work/seqguard" .)
port=34210 proxy_port=34211
for name in "$@"; do
  server_dir=$work/$name
  "$here/servers.sh" start "$name" "$server_dir" "$port"
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
