# shellcheck shell=bash
# lib.sh: what the scripts of this folder share. To be sourced.

# The servers refuse to run as root and are started as another user, who could not look into /root:
# root's cache is therefore in /var/cache, everybody else's in the home folder.
default_cache=${HOME:-/nonexistent}/.cache/mysql-seqguard
[ "$(id -u)" != 0 ] || default_cache=/var/cache/mysql-seqguard
# shellcheck disable=SC2034 # used by the scripts that source this file
cache=${SEQGUARD_CACHE:-$default_cache}

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# usage SCRIPT: prints the comment at its top.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1"; }

# as_server: array to put before a command, so that it does not run as root. as_user: that user's name.
as_server=()
as_user=
if [ "$(id -u)" = 0 ]; then
  as_user=$(id -un mysql 2>/dev/null || say nobody)
  # shellcheck disable=SC2034 # used by the scripts that source this file
  as_server=(setpriv "--reuid=$as_user" "--regid=$(id -gn "$as_user")" --clear-groups)
fi

# give DIR...: lets the user of the servers write there.
give() { [ -z "$as_user" ] || chown -R "$as_user:" "$@"; }

# wait_for SECONDS PID COMMAND...: until COMMAND succeeds; fails when the time is up or process PID has ended.
wait_for() {
  local tries=$(($1 * 10)) pid=$2 i
  shift 2
  for ((i = 0; i < tries; i++)); do
    "$@" >/dev/null 2>&1 && return 0
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

# stop_pid FILE MARK: ends the process whose id is in FILE if its command line contains MARK, and waits for it.
stop_pid() {
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$2"; then
    kill -TERM "$pid"
    local i
    for ((i = 0; i < 300; i++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
  fi
  rm -f "$1"
}
