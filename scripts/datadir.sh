# shellcheck shell=bash
# datadir.sh: makes data folders and starts servers on them. To be sourced.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# make_template NAME DIR: DIR/template, an initialised data folder with accounts and certificates.
make_template() {
  local name=$1 dir=$2 t=$2/template
  rm -rf "$t"
  mkdir -p "$t"
  certificates "$t/tls"
  give "$t"
  say "$name: initialising a data folder"
  case $name in
  mysql*) "${as_server[@]}" "$dir/bin/mysqld" --datadir="$t/data" --innodb-redo-log-capacity=8M --initialize-insecure ;;
  mariadb*) bootstrap_mariadb "$dir" "$t/data" ;;
  esac >"$t/init.log" 2>&1 || {
    tail -20 "$t/init.log" >&2
    die "$name: initialising failed"
  }
  # A small redo log and, at the end, a full purge leave as little as possible to copy and to recover.
  case $name in
  mysql*) start_server "$name" "$t" --skip-networking --innodb-redo-log-capacity=8M ;;
  mariadb*) start_server "$name" "$t" --skip-networking --innodb-log-file-size=8M ;;
  esac
  local ok=1
  accounts "$name" | "$dir/bin/mysql" -uroot -S "$t/s.sock" || ok=
  "$dir/bin/mysql" -uroot -S "$t/s.sock" -e 'SET GLOBAL innodb_fast_shutdown = 0'
  stop_pid "$t/launcher.pid" "--datadir=$t/data"
  [ -n "$ok" ] || die "$name: making the accounts failed"
  # Every copy gets an identity of its own.
  rm -f "$t"/data/auto.cnf "$t"/*.log "$t"/*.pid
  rm -rf "$t/tmp"
}

# bootstrap_mariadb DIR DATA: what mariadb-install-db does without name resolution, but it needs neither root nor perl.
bootstrap_mariadb() {
  local share=$1/bin/share data=$2 prefix=mariadb_ f
  [ -f "$share/mariadb_system_tables.sql" ] || prefix=mysql_
  "${as_server[@]}" mkdir -p "$data/mysql"
  {
    say 'CREATE DATABASE IF NOT EXISTS mysql;'
    say 'USE mysql;'
    say 'SET @skip_auth_anonymous=1;'
    say 'SET @auth_root_socket=NULL;'
    for f in system_tables performance_tables system_tables_data; do cat "$share/$prefix$f.sql"; done
  } | sed '/@current_hostname/d' |
    "${as_server[@]}" "$1/bin/mysqld" --datadir="$data" --bootstrap --skip-log-bin --log-warnings=0 \
      --enforce-storage-engine= --innodb-log-file-size=8M --max-allowed-packet=16M
}

# accounts NAME: the SQL that makes the test accounts. The root account of the server's own is root@localhost without password.
accounts() {
  case $1 in
  mariadb*) # it makes root accounts for more hosts than the two that are wanted
    say "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost'); FLUSH PRIVILEGES;"
    ;;
  esac
  say "CREATE USER root@'127.0.0.1' IDENTIFIED BY ''; CREATE DATABASE gotest;"
  case $1 in
  mysql*)
    say "CREATE USER gotest@'%' IDENTIFIED WITH caching_sha2_password BY 'secret';"
    say "CREATE USER sha256@'%' IDENTIFIED WITH sha256_password BY 'secret'; GRANT ALL ON *.* TO sha256@'%';"
    ;;
  mariadb*)
    say "CREATE USER gotest@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('secret');"
    say "INSTALL SONAME 'auth_ed25519'; CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret'); GRANT ALL ON *.* TO ed@'%';"
    ;;&
  mariadb118)
    say "INSTALL SONAME 'auth_parsec'; CREATE USER parsec@'%' IDENTIFIED VIA parsec USING PASSWORD('secret'); GRANT ALL ON *.* TO parsec@'%';"
    ;;
  esac
  say "CREATE USER tlsonly@'%' IDENTIFIED BY 'secret' REQUIRE SSL; CREATE USER mtls@'%' IDENTIFIED BY 'secret' REQUIRE X509;"
  say "GRANT ALL ON *.* TO gotest@'%'; GRANT ALL ON *.* TO tlsonly@'%'; GRANT ALL ON *.* TO mtls@'%';"
  say "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;"
}

# certificates DIR: a CA, and a certificate of the server's and one of a client's.
certificates() {
  local n
  mkdir -p "$1"
  (
    cd "$1"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 3650 -subj '/CN=mysql-seqguard test CA' \
      -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'
    for n in server client; do
      openssl req -newkey rsa:2048 -nodes -keyout $n.key -out $n.csr -subj "/CN=$n.seqguard.test"
      openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -out $n.pem -extfile <(
        say 'subjectAltName=DNS:localhost,DNS:server.seqguard.test,IP:127.0.0.1'
        say 'extendedKeyUsage=serverAuth,clientAuth'
      )
    done
    rm -f ./*.csr ./*.srl
    chmod 644 ./*
  ) 2>/dev/null || die 'openssl could not make the certificates'
}

# start_server NAME DIR OPTION...: starts the server on DIR/data in the background and waits until it answers.
# Small and fast, since nothing here must survive a power cut. Keep the options in step with internal/mysqltest/options.go (which
# leaves the performance schema off; a test of go-sql-driver needs it).
start_server() {
  local name=$1 dir=$2 options
  shift 2
  mkdir -p "$dir/tmp"
  give "$dir/tmp"
  "${as_server[@]}" test -x "$dir/tmp" || die "user $as_user cannot enter $dir: one of the folders above it is closed to others (chmod o+x)"
  options=(--datadir="$dir/data" --tmpdir="$dir/tmp" --socket="$dir/s.sock" --pid-file="$dir/server.pid" --log-error="$dir/error.log"
    --ssl-ca="$dir/tls/ca.pem" --ssl-cert="$dir/tls/server.pem" --ssl-key="$dir/tls/server.key"
    --local-infile=1 --max-allowed-packet=48M --max-connections=60 --skip-name-resolve --skip-log-bin --performance-schema=ON
    --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=2)
  case $name in
  mysql*) options+=(--innodb-redo-log-capacity=256M --innodb-doublewrite=OFF --mysqlx=OFF --secure-file-priv=) ;;
  mariadb*) options+=(--innodb-log-file-size=256M) ;;
  esac
  "${as_server[@]}" "$cache/$name/bin/mysqld" "${options[@]}" "$@" >"$dir/out.log" 2>&1 </dev/null &
  say $! >"$dir/launcher.pid"
  wait_for 60 $! "$cache/$name/bin/mysqladmin" -uroot -S "$dir/s.sock" ping || {
    tail -20 "$dir/error.log" >&2
    die "$name did not start; log: $dir/error.log"
  }
}
