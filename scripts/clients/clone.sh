#!/usr/bin/env bash
# clone.sh MYSQL SOCKET HOST PORT DIR: the server at SOCKET copies the one at HOST:PORT into a new folder DIR.N, by the CLONE plugin. TLS=1, COMPRESS=1.
set -euo pipefail
ssl='REQUIRE NO SSL' compressed=OFF
[ -z "${TLS:-}" ] || ssl='REQUIRE SSL'
[ -z "${COMPRESS:-}" ] || compressed=ON
# Slowly, so that a capture misses nothing.
"$1" -uroot -S "$2" -e "
  SET GLOBAL clone_valid_donor_list = '$3:$4', clone_enable_compression = $compressed, clone_max_network_bandwidth = 16, clone_max_data_bandwidth = 16;
  CLONE INSTANCE FROM 'gotest'@'$3':$4 IDENTIFIED BY 'secret' DATA DIRECTORY = '$5.$$' $ssl;
  SELECT stage, state, data FROM performance_schema.clone_progress"
