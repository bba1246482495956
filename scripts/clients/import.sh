#!/usr/bin/env bash
# import.sh ACCOUNT...: mariadb-import sends two files at once by LOAD DATA LOCAL. ACCOUNT is what a client of MariaDB needs to connect. TLS=1, COMPRESS=1.
set -euo pipefail
more=(--skip-ssl)
[ -z "${TLS:-}" ] || more=(--ssl)
[ -z "${COMPRESS:-}" ] || more+=(--compress)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for t in imported_a imported_b; do
  seq 1 20000 | sed 's/.*/&\tthe row &/' >"$dir/$t.txt"
  mariadb "$@" "${more[@]}" gotest -e "DROP TABLE IF EXISTS $t; CREATE TABLE $t (id INT, v TEXT)"
done
mariadb-import "$@" "${more[@]}" --local --use-threads=2 gotest "$dir"/imported_*.txt
for t in imported_a imported_b; do
  [ "$(mariadb "$@" "${more[@]}" gotest -NBe "SELECT COUNT(*) FROM $t")" = 20000 ] || {
    echo 'error: rows are missing' >&2
    exit 1
  }
  mariadb "$@" "${more[@]}" gotest -e "DROP TABLE $t"
done
