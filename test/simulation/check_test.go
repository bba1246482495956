package simulation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// connection returns which connection a report is about, 0 if it is about none. Before the greeting the server's id of it is not known.
func (w *world) connection(r *seqguard.Report) int {
	if r.Connection != 0 {
		return int(r.Connection)
	}
	if r.Peer != nil {
		if _, n, ok := strings.Cut(r.Peer.String(), ":"); ok {
			i, _ := strconv.Atoi(n)
			return i
		}
	}
	// The address is asked for on a goroutine that may not have come to it.
	for _, p := range w.conns {
		if len(w.hits[p.n]) > 0 && p.made.Sub(r.Connected).Abs() < time.Microsecond {
			return p.n
		}
	}
	return 0
}

// check holds what was said against what has happened. Nobody runs any more.
func (w *world) check(before, after wrapconn.Counters) {
	fatal := map[int]int{}
	for _, r := range w.reports {
		w.reached["cause: "+string(r.Cause.Slug)]++
		if !w.standing(r) {
			w.named("told", r)
			if ends(r) {
				fatal[w.connection(r)]++
			}
		}
	}
	for n, times := range fatal {
		if times > 1 {
			w.problem("connection %d: %d reports of one end", n, times)
		}
	}
	for _, f := range w.fails {
		w.named("error", f.report)
		w.judged(f)
		if !f.report.Quiet() && !slices.ContainsFunc(w.reports, func(r *seqguard.Report) bool {
			return w.connection(r) == w.connection(f.report) && r.Time.Equal(f.report.Time)
		}) {
			w.problem("an error's report was not told: %s", f.report)
		}
	}
	told := int(after.Reports - before.Reports + after.Notices - before.Notices)
	if lost := int(after.Undelivered - before.Undelivered + after.Nested - before.Nested); told != len(w.reports)+lost {
		w.problem("%d reports were counted, %d told and %d lost", told, len(w.reports), lost)
	}
	if n := after.Panics - before.Panics; n > 0 {
		w.problem("%d panics of the guard's own", n)
	}
	if n := after.Untracked - before.Untracked; n > 0 {
		w.reached["untracked"] += int(n)
	}
	w.twice()
	w.company()
}

// twice looks for statements that ran more than once.
func (w *world) twice() {
	total := map[int]int{}
	for k, n := range w.ran {
		total[k.token] += n
	}
	for t, n := range total {
		if n > 1 {
			w.problem("statement %d ran %d times: %s", t, n, w.ops[t])
		}
	}
}

// ends tells a report of the end of a connection from those that leave it in order.
func ends(r *seqguard.Report) bool {
	switch r.Cause.Slug {
	case "concurrent_use", "result_still_open", "more_results_unread", "abandoned", "local_infile_partial":
		return false
	}
	return true
}

// standing handles reports about who holds connections.
func (w *world) standing(r *seqguard.Report) bool {
	switch r.Cause.Slug {
	case "held_too_long":
		if w.s.heldLimit == 0 || r.Evidence.Held < w.s.heldLimit {
			w.problem("false alarm: %s", r)
		}
		w.reached["held: "+r.Evidence.HeldAs]++
		return true
	case "pool_exhausted":
		if !w.s.watched || r.Evidence.PoolInUse < w.s.maxOpen {
			w.problem("false alarm: %s", r)
		}
		return true
	}
	return false
}

// named checks the name of a report.
func (w *world) named(where string, r *seqguard.Report) {
	n := w.connection(r)
	if r.Cause.Severity == cause.Misuse {
		if r.Conflict == wrapconn.NoConflict {
			w.problem("false alarm, %s: %s", where, r)
		}
		return // checked by whoever was refused
	}
	if r.Cause.Slug == "abandoned" && slices.ContainsFunc(w.overdue, func(at time.Time) bool { return r.Time.Sub(at).Abs() <= ms(1) }) {
		return
	}
	hits := w.hits[n]
	if len(hits) == 0 {
		w.problem("false alarm, %s: connection %d met no fault: %s", where, n, r)
		return
	}
	var names, right []string
	for _, h := range hits {
		names = append(names, h.fault)
		for _, s := range h.names {
			right = append(right, string(s))
		}
	}
	d := r.Cause
	if d.Slug == cause.Undetermined || slices.Contains(right, string(d.Slug)) {
		if where == "told" {
			w.reached["named: "+hits[0].fault+" → "+string(d.Slug)]++
		}
		return
	}
	if d.Slug == "ended_together" && w.near(r.Time) >= 2 {
		return
	}
	for _, a := range d.Alternatives {
		if slices.Contains(right, string(a)) {
			w.reached["named: "+hits[0].fault+" → "+string(d.Slug)+" and others"]++
			return
		}
	}
	w.problem("wrong name, %s: %s (not excluded: %v, gap %v), want one of %v; connection %d met %v: %s\n%s", where, d.Slug, d.Alternatives, r.Evidence.LongestReadGap, right, n, names, r, r.Timeline())
}

// near counts the faults of about that time.
func (w *world) near(at time.Time) (n int) {
	for _, hits := range w.hits {
		for _, h := range hits {
			if h.at.Sub(at).Abs() <= 2*time.Second {
				n++
				break
			}
		}
	}
	return n
}

// judged checks what an error says of whether its statement was run.
func (w *world) judged(f failure) {
	if f.token == 0 {
		return
	}
	d := f.report.Cause
	n := w.connection(f.report)
	did := w.ran[ran{n, f.token}] > 0
	o := w.ops[f.token]
	switch {
	case did && d.Executed == cause.ExecutedNo:
		w.problem("said not to be run, and it was: %s: %s", o, f.report)
	case did && d.RetrySafe:
		w.problem("said to be safe to repeat, and it was run: %s: %s", o, f.report)
	case !did && d.Executed == cause.ExecutedYes:
		w.problem("said to be run, and it was not: %s: %s", o, f.report)
	}
	w.reached[fmt.Sprintf("verdict: executed %s, was run %t", d.Executed, did)]++
	if d.RetrySafe {
		w.reached["verdict: retry safe"]++
	}
}

// The pairs that are told apart only by what the process knows besides the connection.
var confusable = map[string]string{
	"KILL of one": "one KILL", "closed while idle": "one KILL", "closed under a command": "one KILL",
	"KILL of four": "four KILLs", "crash": "crash", "orderly shutdown": "orderly shutdown", "offline_mode": "offline_mode",
	"balancer closes idle ones": "balancer", "a proxy's statement limit": "statement limit",
	"1153 in the middle of a large command": "too large", "answer 1153, then closed": "too large",
	"answer 4082, then closed": "memory limit", "silence": "silence", "silence in the middle of an answer": "silence",
	"a reader that is too slow": "slow reader", "1161 in an answer": "slow reader",
}

// company notes which of those met within a second.
func (w *world) company() {
	type seen struct {
		kind string
		at   time.Time
		conn int
	}
	var all []seen
	for n, hits := range w.hits {
		for _, h := range hits {
			if k := confusable[h.fault]; k != "" {
				all = append(all, seen{k, h.at, n})
			}
		}
	}
	pairs := map[string]bool{}
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.conn != b.conn && a.kind != b.kind && a.at.Sub(b.at).Abs() <= time.Second {
				pairs["pair: "+min(a.kind, b.kind)+" and "+max(a.kind, b.kind)] = true
			}
		}
	}
	for p := range pairs {
		w.reached[p]++
	}
}
