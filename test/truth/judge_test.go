package truth_test

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// happening is something that a test does to connections.
type happening string

const (
	killed    happening = "KILL"
	crashed   happening = "kill -9 of the server"
	stopped   happening = "orderly shutdown"
	offline   happening = "offline_mode=ON"
	idleLimit happening = "a balancer closes idle ones"
	timeLimit happening = "a proxy's limit on statements"
	tooLarge  happening = "a command that is too large"
	memory    happening = "a memory limit"
	slowness  happening = "a slow reader"
	gaveUp    happening = "the context ended here"
	lateLogin happening = "a short context ended in a login that took more than a second"
)

// truth is how a happening may be named, and by which words it may be mentioned.
type truth struct {
	// right are the names that say what happened.
	right []cause.Slug
	// with: a right name must have one of these words beside it, if there are any.
	with []string
	// words mention it in a sentence.
	words []string
	// against are words that deny it.
	against []string
}

// Words that speak against the end of a server.
const (
	noCrash   = "likelier than a crash"
	noCrash2  = "against a crash"
	noRestart = "likelier than a restart"
)

var truths = map[happening]truth{
	killed: {right: []cause.Slug{"connection_killed"}, words: []string{"KILL"}},
	crashed: {right: []cause.Slug{"server_shutdown"}, words: []string{"crash", "restart", "went away"},
		against: []string{noCrash, noCrash2, noRestart}},
	stopped: {right: []cause.Slug{"server_shutdown"}, words: []string{"restart", "went away", "shutting down", "shutdown", "stop of the server", "a stop", "being stopped", "are stopped", "is stopped"},
		against: []string{noRestart}},
	offline:   {right: []cause.Slug{"server_shutdown"}, with: []string{"offline"}, words: []string{"offline"}},
	idleLimit: {right: []cause.Slug{"closed_while_idle"}, words: []string{"balancer", "idle limit"}},
	timeLimit: {right: []cause.Slug{"ended_together"}, with: []string{"a limit on the time of a statement"}, words: []string{"a limit"}},
	tooLarge:  {right: []cause.Slug{"packet_too_large"}, words: []string{"max_allowed_packet"}},
	memory:    {right: []cause.Slug{"server_farewell"}, with: []string{"memory_limit"}, words: []string{"memory_limit"}},
	slowness:  {right: []cause.Slug{"slow_reader"}, words: []string{"net_write_timeout", "slow_reader"}},
	gaveUp:    {right: []cause.Slug{"abandoned"}},
	lateLogin: {right: []cause.Slug{"no_greeting", "tls_failed", "login_stalled_locally", "login_unanswered", "read_too_late"}},
}

// seen are the names that say what a connection saw and nothing of a cause. They can only be wrong by what they leave out.
var seen = []cause.Slug{"closed_before_answer", "connection_lost_mid_answer", "closed_while_idle", "ended_together", "login_unanswered", "no_greeting",
	"local_infile_aborted", cause.Undetermined}

type verdict string

const (
	isRight verdict = "right"
	isVague verdict = "vague"
	isWrong verdict = "WRONG"
)

// judge compares what a report says with what has happened to its connection: one of these.
func judge(r *seqguard.Report, happened []happening) (v verdict, why string) {
	d := &r.Cause
	said := d.Explanation + " " + d.Advice
	has := func(s string) bool { return strings.Contains(said, s) }
	v, why = isWrong, "nothing happened to this connection"
	for _, h := range happened {
		t := truths[h]
		if i := slices.IndexFunc(t.against, has); i >= 0 && len(happened) == 1 {
			return isWrong, fmt.Sprintf("it says %q of %s", t.against[i], h)
		}
		switch {
		case h == slowness && len(happened) > 1 && slices.Contains(t.right, d.Slug):
			v, why = isVague, "which of the two it was" // its sentence has both
		case slices.Contains(t.right, d.Slug) && (t.with == nil || slices.ContainsFunc(t.with, has)):
			return isRight, string(h)
		case slices.ContainsFunc(t.words, has) && (slices.Contains(seen, d.Slug) || len(d.Alternatives) > 0):
			v, why = isVague, string(h)
		case v == isWrong:
			why = fmt.Sprintf("%s is not mentioned", h)
		}
	}
	return v, why
}

// read writes a report into the file that SEQGUARD_READ names, one line each.
func read(t *testing.T, v verdict, happened []happening, r *seqguard.Report) {
	t.Helper()
	name := os.Getenv("SEQGUARD_READ")
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	_, _ = fmt.Fprintf(f, "%s\t%v\t%s\texecuted %s, safe %t\t%s\t%s\n", v, happened, r.Cause.Slug, r.Cause.Executed, r.Cause.RetrySafe, r.Cause.Explanation, r.Cause.Advice)
}

// tally counts verdicts.
type tally struct {
	mu    sync.Mutex
	count map[string]map[verdict]map[cause.Slug]int // of what happened
	total map[verdict]int
}

func (y *tally) add(what string, v verdict, slug cause.Slug) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.count == nil {
		y.count, y.total = map[string]map[verdict]map[cause.Slug]int{}, map[verdict]int{}
	}
	if y.count[what] == nil {
		y.count[what] = map[verdict]map[cause.Slug]int{}
	}
	if y.count[what][v] == nil {
		y.count[what][v] = map[cause.Slug]int{}
	}
	y.count[what][v][slug]++
	y.total[v]++
}

// log prints the tally.
func (y *tally) log(t *testing.T, title string) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	var names []string
	for n := range y.count {
		names = append(names, n)
	}
	sort.Strings(names)
	out := fmt.Sprintf("%s: %d right, %d vague, %d wrong", title, y.total[isRight], y.total[isVague], y.total[isWrong])
	for _, n := range names {
		out += "\n  " + n + ":"
		for _, v := range []verdict{isRight, isVague, isWrong} {
			if m := y.count[n][v]; m != nil {
				out += fmt.Sprintf(" %s %v", v, m)
			}
		}
	}
	t.Log(out)
}
