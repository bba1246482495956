#!/usr/bin/env bash
# confusion.sh ROUNDS [EVENTS]   Everything that ends connections happens to real servers, each in company of each, and every report is judged by
# what was done to its connection (TestConfusion in test/truth)
#
# In a round each event happens once, and meets another one than in the round before: 11 rounds make all pairs. EVENTS is a regular
# expression that chooses among them: 'kill -9|SIGTERM|silent' are the ends of the server, of which 3 rounds make all pairs. Prints the tally: right,
# vague (it says what the connection saw, and names what happened among what it may have been), wrong. Fails if one is wrong.
# SEQGUARD_READ=FILE writes every report into FILE, one line each. A round takes about a minute.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
[ $# -eq 1 ] || [ $# -eq 2 ] || {
  usage "$0"
  exit 2
}
cd "$here/.."
[ -z "${SEQGUARD_READ:-}" ] || SEQGUARD_READ=$(realpath -m "$SEQGUARD_READ")
SEQGUARD_CONFUSION=$1 SEQGUARD_CONFUSION_EVENTS=${2:-} SEQGUARD_REQUIRE_SERVERS=1 nice go test -count=1 -v -timeout "$(($1 * 3 + 10))m" -run '^TestConfusion$' ./test/truth
