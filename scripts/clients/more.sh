# shellcheck shell=bash
# more.sh: more clients of clients.sh, which sources it: those in languages that few use, and those that take long to install or to build.

# light NAME: what installs in seconds.
light() {
  local c=$here/clients n tools=$cache/mysql9tools/bin
  if have LuaSQL lua5.3 -e 'require("luasql.mysql")'; then
    for n in plain compress; do client LuaSQL $n lua5.3 "$c/luasql.lua" 127.0.0.1 "$proxy_port"; done
  fi
  if have p1_mysql erl -noshell -eval 'halt(case code:load_file(p1_mysql_conn) of {module, _} -> 0; _ -> 1 end).'; then
    for n in plain terminate; do client p1_mysql $n escript "$c/p1.erl" 127.0.0.1 "$proxy_port"; done
  fi
  if have libmariadb command -v mariadb_config && have libmariadb command -v cc; then
    # shellcheck disable=SC2046 # options
    [ -x "$work/direct" ] || cc -o "$work/direct" "$c/direct.c" $(mariadb_config --cflags --libs)
    for n in plain terminate compress; do client 'libmariadb, execute_direct' $n "$work/direct" 127.0.0.1 "$proxy_port"; done
  fi
  if have mysqld_exporter test -x "$cache/exporter/bin/mysqld_exporter"; then
    for n in plain ${all:+terminate}; do
      client mysqld_exporter "$n" "$c/exporter.sh" "$cache/exporter/bin/mysqld_exporter" 127.0.0.1 "$proxy_port" $((proxy_port + 10))
    done
  fi
  if have mariadb-client command -v mariadb-import; then
    for n in plain compress ${all:+terminate}; do client mariadb-import "$n" "$c/import.sh" "${account[@]}"; done
  fi
  [ "$1" = mysql9 ] || return 0
  client 'mysqladmin 9.7' plain "$cache/mysql9/bin/mysqladmin" "${account[@]}" "${new[@]}" ping status processlist extended-status variables flush-tables debug
  client 'mysqlslap 9.7' plain "$tools/mysqlslap" "${account[@]}" "${new[@]}" -a -c 3 -i 2 --create-schema=slapped9
  [ -n "$all" ] || return 0
  client 'mysqlslap 9.7' terminate "$tools/mysqlslap" "${account[@]}" --ssl-mode=REQUIRED -a -c 3 --create-schema=slapped9
  client 'mysqlslap 9.7' compress "$tools/mysqlslap" "${account[@]}" "${new[@]}" --compression-algorithms=zlib -a -c 3 --create-schema=slapped9
}

# heavy NAME: with -all only.
heavy() {
  local c=$here/clients n
  if have RMySQL Rscript -e 'library(RMySQL)'; then
    for n in plain compress; do client RMySQL $n Rscript "$c/rmysql.R" 127.0.0.1 "$proxy_port"; done
  fi
  if have Connector/C++ test -f /usr/include/cppconn/driver.h; then
    [ -x "$work/connector" ] || g++ -std=c++14 -w -o "$work/connector" "$c/connector.cpp" -lmysqlcppconn
    for n in plain terminate compress; do client Connector/C++ $n "$work/connector" 127.0.0.1 "$proxy_port"; done
  fi
  if [[ ${ONLY:-go-mysql} == *go-mysql* ]] && have go-mysql go_mysql; then
    for n in plain tls compress; do client 'go-mysql client' $n "$work/gomysql/gomysql" client 127.0.0.1 "$proxy_port"; done
    local flavor=mariadb
    [ "$1" != mysql9 ] || flavor=mysql
    for n in plain tls; do client 'go-mysql syncer' $n "$work/gomysql/gomysql" syncer 127.0.0.1 "$proxy_port" $flavor; done
  fi
  if [ "$1" = mysql9 ] && [[ ${ONLY:-CLONE} == *CLONE* ]]; then clone; fi
}

# go_mysql builds the program.
go_mysql() {
  [ -x "$work/gomysql/gomysql" ] && return
  mkdir -p "$work/gomysql"
  cp "$here/clients/gomysql.go.txt" "$work/gomysql/main.go"
  (
    cd "$work/gomysql"
    export GOFLAGS=-mod=mod
    go mod init gomysql && go get github.com/go-mysql-org/go-mysql@v1.13.0 && go mod tidy && go build -o gomysql .
  )
}

# clone copies the server by the CLONE plugin, whose donor it reaches through the proxy.
clone() {
  local n
  recipient=$work/recipient
  "$here/servers.sh" start mysql9 "$recipient" $((proxy_port + 40))
  for n in "$server_dir" "$recipient"; do "$cache/mysql9/bin/mysql" -uroot -S "$n/s.sock" -e "INSTALL PLUGIN clone SONAME 'mysql_clone.so'"; done
  for n in plain terminate compress; do
    client CLONE $n "$here/clients/clone.sh" "$cache/mysql9/bin/mysql" "$recipient/s.sock" 127.0.0.1 "$proxy_port" "$recipient/cloned-$n"
    rm -rf "$recipient/cloned-$n".*
  done
  "$here/servers.sh" stop "$recipient"
  recipient=
}
