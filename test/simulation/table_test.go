package simulation

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// elsewhere are the causes that a simulation cannot have, with the reason and with who has them.
var elsewhere = map[cause.Slug]string{
	"rows_never_closed":        "only the garbage collector finds them, and it does not run in a bubble's time; test/testimony",
	"client_left":              "nobody reports his own end; wrapconn/conversation has another's",
	"read_nothing_due":         "client and server must understand an answer differently; test/contained",
	"used_after_fork":          "a bubble is one process; TestFork of wrapconn",
	"stale_answer":             "it needs a client that leaves an answer unread, which neither go-sql-driver nor the pool does; test/stale, TestCauses",
	"split_packet_misnumbered": "the client must misnumber; TestCauses, with a faulty layer below the driver",
	"client_misnumbered":       "the client must misnumber; TestCauses, with a faulty layer below the driver",
}

// mustReach lists the rows of the table: a run of millions of operations that did not reach one of them has proved less than it says.
func mustReach() []string {
	var rows []string
	for _, s := range cause.Slugs() {
		if elsewhere[s] == "" {
			rows = append(rows, "cause: "+string(s))
		}
	}
	for f := fNone + 1; f < numFaults; f++ {
		rows = append(rows, "fault: "+faults[f].name)
	}
	for _, l := range loginFaults {
		rows = append(rows, "fault: "+l.name)
	}
	for _, k := range eventKinds {
		rows = append(rows, "fault: event: "+k.name)
	}
	rows = append(rows, "fault: "+offlineLogin.name, "fault: dial refused")
	kinds := slices.Compact(slices.Sorted(maps.Values(confusable)))
	for i, a := range kinds {
		for _, b := range kinds[i+1:] {
			rows = append(rows, "pair: "+a+" and "+b)
		}
	}
	return append(rows,
		"owner: held → free", "owner: held → leased", "owner: leased → free", "owner: inside → leased", "owner: inside → free",
		"owner: overlap refused", "owner: overlap with a close of rows refused", "owner: statement closed late", "owner: interleaving refused", "owner: commit",
		"verdict: executed no, was run false", "verdict: executed unknown, was run true", "verdict: executed unknown, was run false",
		"verdict: executed yes, was run true", "verdict: retry safe",
		"held: running", "held: rows open", "held: idle", "held: idle in transaction",
	)
}

// table prints what was reached and how often. If all must have been, it fails for what was not.
func (o *outcome) table(t *testing.T, all bool) {
	rows := mustReach()
	var missing []string
	for _, r := range rows {
		if o.reached[r] == 0 {
			missing = append(missing, r)
		}
	}
	if testing.Verbose() {
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(o.reached)) {
			b.WriteString(strings.TrimRight(padded(o.reached[k])+" "+k, " ") + "\n")
		}
		t.Logf("reached:\n%s", b.String())
	}
	t.Logf("%d of %d rows of the table were reached", len(rows)-len(missing), len(rows))
	if all && len(missing) > 0 {
		t.Errorf("never reached:\n  %s", strings.Join(missing, "\n  "))
	} else if len(missing) > 0 && testing.Verbose() {
		t.Logf("not reached this time:\n  %s", strings.Join(missing, "\n  "))
	}
}

func padded(n int) string {
	s := []byte("         0")
	for i := len(s) - 1; n > 0; i-- {
		s[i] = byte('0' + n%10)
		n /= 10
	}
	return string(s)
}

// TestTable: whoever adds a cause decides where it is reached.
func TestTable(t *testing.T) {
	known := cause.Slugs()
	for s := range elsewhere {
		if !slices.Contains(known, s) {
			t.Errorf("%s is no cause", s)
		}
	}
	right := map[cause.Slug]bool{"pool_exhausted": true, "held_too_long": true, "concurrent_use": true, "more_results_unread": true, "result_still_open": true}
	note := func(names []cause.Slug) {
		for _, n := range names {
			right[n] = true
		}
	}
	for f := range faults {
		note(faults[f].names)
	}
	for _, l := range loginFaults {
		note(l.names)
	}
	for _, k := range eventKinds {
		note(k.extra)
	}
	for ph := beforeGreeting; ph <= loading; ph++ {
		note(endNames(ph))
	}
	right["ended_together"] = true
	for _, s := range known {
		if right[s] == (elsewhere[s] != "") && s != "stale_answer" {
			t.Errorf("%s: a fault has it: %t; said to be reached elsewhere: %q", s, right[s], elsewhere[s])
		}
	}
}
