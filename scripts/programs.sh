# shellcheck shell=bash
# programs.sh: where the programs of a server come from, and the little starters in its bin/. To be sourced.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# get_programs NAME DIR: fills DIR/root, unless the program installed on the machine will do, and DIR/bin.
get_programs() {
  local name=$1 dir=$2 suite version program packages keep
  case $name in
  mysql9) program=mysqld suite=sid version='Ver 9\.' packages=(mysql-server-core mysql-client-core) keep='mysql|mysqladmin' ;;
  mariadb1011) program=mariadbd suite=bookworm version='Ver 10\.11\..*MariaDB' ;;&
  mariadb118) program=mariadbd suite=trixie version='Ver 11\.8\..*MariaDB' ;;&
  mariadb118tools) program=mariadb-binlog suite=trixie version='11\.8\.' packages=(mariadb-client) keep=mariadb-binlog ;;
  mariadb*) packages=(mariadb-server-core mariadb-client-core mariadb-server) keep='mariadb|mariadb-admin' ;;
  mysql9tools) program=mysqldump suite=sid version='Ver 9\.' packages=(mysql-client-core mysql-client mysql-server) keep='mysqldump|mysqlbinlog|mysqlslap' ;;
  router) program=mysqlrouter suite=sid version='Ver 9\.' packages=(mysql-router) keep=mysqlrouter ;;
  exporter) program=prometheus-mysqld-exporter suite=bookworm version='version 0\.' packages=(prometheus-mysqld-exporter) keep=prometheus-mysqld-exporter ;;
  prometheus) program=prometheus suite=bookworm version='version 2\.' packages=(prometheus) keep='prometheus|promtool' ;;
  esac
  local installed
  installed=$(PATH=$PATH:/usr/sbin command -v "$program" || true)
  if [ -n "$installed" ] && "$installed" --version 2>/dev/null | grep -qE "$version"; then
    say "$name: taking the installed $installed"
  elif [ -n "${SEQGUARD_OFFLINE:-}" ]; then
    die "$name is not installed on this machine, and nothing may be downloaded"
  else
    say "$name: fetching ${packages[*]} of $suite"
    "$(dirname "${BASH_SOURCE[0]}")/debfetch.sh" "$suite" "$dir" "${packages[@]}"
    prune "$dir/root" "$keep"
    [[ $name != *tools ]] || rm -rf "$dir/root"/usr/{sbin,share,lib/mysql} # the server that comes with them
  fi
  case $name in
  mysql9)
    starter "$dir" mysqld usr/sbin/mysqld --no-defaults --basedir=@usr --plugin-dir=@usr/lib/mysql/plugin \
      --lc-messages-dir=@usr/share/mysql --character-sets-dir=@usr/share/mysql/charsets
    starter "$dir" mysql usr/bin/mysql --no-defaults
    starter "$dir" mysqladmin usr/bin/mysqladmin --no-defaults
    ;;
  mysql9tools)
    starter "$dir" mysqldump usr/bin/mysqldump --no-defaults
    starter "$dir" mysqlbinlog usr/bin/mysqlbinlog --no-defaults
    starter "$dir" mysqlslap usr/bin/mysqlslap --no-defaults
    ;;
  mariadb118tools) starter "$dir" mariadb-binlog usr/bin/mariadb-binlog --no-defaults ;;
  mariadb*)
    local share=usr/share/mysql # trixie's package has moved to share/mariadb
    [ ! -d "$dir/root/usr/share/mariadb/english" ] || share=usr/share/mariadb
    starter "$dir" mysqld usr/sbin/mariadbd --no-defaults --basedir=@usr --plugin-dir=@usr/lib/mysql/plugin \
      --lc-messages-dir="@$share" --character-sets-dir="@$share/charsets"
    starter "$dir" mysql usr/bin/mariadb --no-defaults
    starter "$dir" mysqladmin usr/bin/mariadb-admin --no-defaults
    if [ -d "$dir/root" ]; then ln -sfn "../root/$share" "$dir/bin/share"; else ln -sfn "/$share" "$dir/bin/share"; fi
    ;;
  exporter) starter "$dir" mysqld_exporter usr/bin/prometheus-mysqld-exporter ;;
  prometheus)
    starter "$dir" prometheus usr/bin/prometheus
    starter "$dir" promtool usr/bin/promtool
    ;;
  router)
    starter "$dir" mysqlrouter usr/bin/mysqlrouter
    if [ -d "$dir/root" ]; then
      ln -sfn ../root/usr/lib/mysqlrouter/plugin "$dir/bin/plugins"
    else
      ln -sfn /usr/lib/mysqlrouter/plugin "$dir/bin/plugins"
    fi
    ;;
  esac
}

# prune ROOT KEEP: removes what is big and never run here; KEEP is a regular expression of the programs in usr/bin that stay.
prune() {
  local f
  for f in "$1"/usr/bin/*; do
    [[ ${f##*/} =~ ^($2)$ ]] || rm -f "$f"
  done
  rm -rf "$1"/usr/lib/mysql/plugin/{libpluginmecab.so,component_mysqlbackup.so,component_group*,group_replication.so,telemetry_client.so,test_*}
}

# starter DIR NAME PROGRAM OPTION...: writes DIR/bin/NAME, which runs PROGRAM of DIR/root with the libraries there, or the
# installed one if there is no DIR/root. A leading @ (or =@) in an option is the root folder. It execs: the pid stays.
starter() {
  local dir=$1 file=$1/bin/$2 program=$3 o
  shift 3
  {
    say '#!/bin/sh'
    if [ -d "$dir/root" ]; then
      # shellcheck disable=SC2016 # for the starter to expand
      printf '%s\n' 'r=$(cd "$(dirname "$0")/../root" && pwd)/' "l=\$r/usr/lib/$(uname -m)-linux-gnu"
      # The machine's OpenSSL configuration may name modules that the unpacked libraries cannot load.
      # shellcheck disable=SC2016,SC1003 # the backslash continues the line in the starter
      printf '%s\n' 'export OPENSSL_CONF=/dev/null OPENSSL_MODULES="$l/ossl-modules"' \
        'exec "$l"/ld-linux-*.so.* --library-path "$r/usr/lib/mysql-router:$r/usr/lib/mysqlrouter:$r/usr/lib/mysqlrouter/plugin:$l" \'
    else
      # shellcheck disable=SC1003
      printf '%s\n' 'r=/' 'exec \'
    fi
    # shellcheck disable=SC2016
    printf '  "${r}%s"' "$program"
    # shellcheck disable=SC2016
    for o in "$@"; do printf ' "%s"' "${o/@/'${r}'}"; done
    # shellcheck disable=SC2016
    say ' "$@"'
  } >"$file"
  chmod +x "$file"
}
