#!/usr/bin/env bash
# random_kills.sh MINUTES   Kills connections and restarts servers at random under load, with two charsets in the DSN and contexts
# that end early, and judges every report by what was done to its connection (TestRandomKills in test/truth)
#
# Prints the tally: right, vague (it says what the connection saw, and names what happened among what it may have been), wrong. Fails
# if one is wrong. SEQGUARD_READ=FILE writes every report into FILE, one line each.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
[ $# -eq 1 ] || {
  usage "$0"
  exit 2
}
cd "$here/.."
[ -z "${SEQGUARD_READ:-}" ] || SEQGUARD_READ=$(realpath -m "$SEQGUARD_READ")
SEQGUARD_KILLS=$1m SEQGUARD_REQUIRE_SERVERS=1 nice go test -count=1 -v -timeout "$(($1 + 20))m" -run '^TestRandomKills$' ./test/truth
