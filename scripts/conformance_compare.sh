#!/usr/bin/env bash
# conformance_compare.sh HOST:PORT   go-sql-driver's suite with the plain driver and with the guarded one, against a peer on which it has failures
#
# For proxies and imitations (MySQL Router, Vitess): fails when the two have other failures, by name and subtests, or when the guard had a report,
# a conversation that it could not follow, or one that it could not see.
# Environment: EXTRA_DSN and the rest of conformance.sh
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"
[ $# -eq 1 ] || {
  usage "$0"
  exit 2
}
work=$(mktemp -d -t conformance-compare.XXXXXX)
trap 'rm -rf "$work"' EXIT
for who in plain guard; do
  plain=
  [ "$who" = guard ] || plain=1
  # Its own verdict is about a peer without failures.
  PLAIN=$plain OUT=$work/$who EXPECT=${EXPECT-0} "$here/conformance.sh" "$1" >"$work/$who.out" 2>&1 || true
  grep -E '^conformance |^seqguard counters: ' "$work/$who.out" || die "$who: $(tail -3 "$work/$who.out")"
  grep -E '^ *--- FAIL: ' "$work/$who" | awk '{ print $3 }' | sort >"$work/$who.failed" || true
done
grep -q '^seqguard counters: .* reports=0 untracked=0 opaque=0$' "$work/guard.out" || die 'the guard has something to say'
diff "$work/plain.failed" "$work/guard.failed" || die 'other tests fail'
say "the same $(wc -l <"$work/guard.failed") tests and subtests fail"
