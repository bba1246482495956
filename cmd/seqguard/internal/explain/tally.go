package explain

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
)

// tally counts by cause and by client.
type tally struct {
	causes  map[cause.Slug]*causeCount
	clients map[clientKey]*clientCount
}

type causeCount struct {
	Slug       cause.Slug
	Severity   cause.Severity
	Title      string
	Count      int
	clients    map[clientKey]struct{}
	FirstClock string
}

// Clients is how many kinds of clients had it.
func (c *causeCount) Clients() int { return len(c.clients) }

// clientKey is a kind of client: all connections of one program's pool are one.
type clientKey struct{ Host, User, Name, Version, Program string }

type clientCount struct {
	Key         clientKey
	Connections int
	Commands    uint64
	Violations  int
}

// maxClients: beyond, the rest is counted together.
const maxClients = 1000

func (t *tally) init() {
	t.causes, t.clients = map[cause.Slug]*causeCount{}, map[clientKey]*clientCount{}
}

func keyOf(c cause.Client) clientKey {
	host := c.Address
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	return clientKey{host, c.User, c.Name, c.Version, c.Program}
}

func (t *tally) violation(v *report.Violation) {
	n := t.causes[v.Cause.Slug]
	if n == nil {
		n = &causeCount{
			Slug: v.Cause.Slug, Severity: v.Cause.Severity, Title: v.Cause.Title,
			clients: map[clientKey]struct{}{}, FirstClock: v.Finding.Time.Format(clock),
		}
		t.causes[v.Cause.Slug] = n
	}
	n.Count++
	n.Severity = max(n.Severity, v.Cause.Severity)
	if len(n.clients) < maxClients {
		n.clients[keyOf(v.Client())] = struct{}{}
	}
}

func (t *tally) connection(s *conversation.State, violations int) {
	k := keyOf(s.Client)
	n := t.clients[k]
	if n == nil {
		if len(t.clients) >= maxClients {
			k = clientKey{Host: "others"}
		}
		if n = t.clients[k]; n == nil {
			n = &clientCount{Key: k}
			t.clients[k] = n
		}
	}
	n.Connections++
	n.Commands += s.Commands
	n.Violations += violations
}

// Causes, the most frequent first.
func (t *tally) Causes() []*causeCount {
	list := make([]*causeCount, 0, len(t.causes))
	for _, c := range t.causes {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *causeCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Slug, b.Slug))
	})
	return list
}

// Clients, those with most violations first, then those with most connections.
func (t *tally) Clients() []*clientCount {
	list := make([]*clientCount, 0, len(t.clients))
	for _, c := range t.clients {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *clientCount) int {
		return cmp.Or(cmp.Compare(b.Violations, a.Violations), cmp.Compare(b.Connections, a.Connections),
			cmp.Compare(a.Key.Host, b.Key.Host), cmp.Compare(a.Key.User, b.Key.User), cmp.Compare(a.Key.Name, b.Key.Name),
			cmp.Compare(a.Key.Version, b.Key.Version), cmp.Compare(a.Key.Program, b.Key.Program))
	})
	return list
}

func (k clientKey) String() string {
	return cause.Client{Address: k.Host, User: k.User, Name: k.Name, Version: k.Version, Program: k.Program}.String()
}

func (t *tally) write(w io.Writer, total *Totals) {
	fmt.Fprintf(w, "\n%s", total.sentence())
	if len(t.causes) > 0 {
		fmt.Fprintf(w, "\n%7s  %-14s  %-34s  %8s  %s\n", "times", "severity", "cause", "clients", "first")
		for _, c := range t.Causes() {
			fmt.Fprintf(w, "%7d  %-14s  %-34s  %8d  %s\n", c.Count, c.Severity, c.Slug, c.Clients(), c.FirstClock)
		}
	}
	if len(t.clients) > 0 {
		fmt.Fprintf(w, "\n%11s  %8s  %10s  %s\n", "connections", "commands", "violations", "client")
		list := t.Clients()
		for _, c := range list[:min(len(list), 50)] {
			fmt.Fprintf(w, "%11d  %8d  %10d  %s\n", c.Connections, c.Commands, c.Violations, c.Key)
		}
		if len(list) > 50 {
			fmt.Fprintf(w, "… and %s more\n", plural(len(list)-50, "client"))
		}
	}
}

// sentence says what the capture held.
func (t *Totals) sentence() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s", plural(int(t.Frames), "frame"), report.Bytes(uint64(t.Bytes)))
	if t.Frames > 0 {
		fmt.Fprintf(&b, ", %s to %s", t.First.Format(clock), t.Last.Format("15:04:05.000 MST"))
	}
	fmt.Fprintf(&b, ".\n%s of MySQL", plural(t.Connections, "connection"))
	if t.Others > 0 {
		fmt.Fprintf(&b, ", %d of other protocols", t.Others)
	}
	fmt.Fprintf(&b, "; %s told", plural(t.Violations, "violation"))
	if t.Knocks > 0 {
		fmt.Fprintf(&b, ", %d knocks (a client that left at once without a word)", t.Knocks)
	}
	b.WriteString(".\n")
	if t.NotRead > 0 {
		fmt.Fprintf(&b, "%s of a link type that is not read (%d).\n", areFrames(t.NotRead), t.Link)
	}
	switch {
	case t.Connections > 0:
	case t.Frames == 0:
		b.WriteString("There is no frame in it: nothing was captured. Another interface (on Linux, tcpdump -i any) or another port may be the right one.\n")
	default:
		if t.NotTCP > 0 {
			fmt.Fprintf(&b, "%s not TCP.\n", areFrames(t.NotTCP))
		}
		b.WriteString("MySQL is found by its greeting, on any port. Where the greetings are not in the capture, say with -port which ports are MySQL's.\n")
	}
	if t.Gaps > 0 {
		fmt.Fprintf(&b, "%s are missing from the capture, in %s: nothing is claimed about them.\n", report.Bytes(t.Lost), plural(int(t.Gaps), "place"))
	}
	if t.CutFrames > 0 {
		fmt.Fprintf(&b, "%s not captured whole, and what is cut off is not seen: capture without -s.\n", areFrames(t.CutFrames))
	}
	if t.Evicted > 0 {
		fmt.Fprintf(&b, "%s dropped while they went on, to stay within memory.\n", plural(int(t.Evicted), "connection"))
	}
	if t.Untracked > 0 {
		fmt.Fprintf(&b, "%s could not be followed for a while.\n", plural(t.Untracked, "connection"))
	}
	if t.Opaque > 0 {
		hint := ""
		if t.Encrypted {
			hint = ": they are encrypted, and it takes the clients' secrets to see them (-keylog)"
		}
		fmt.Fprintf(&b, "The packets of %s could not be seen%s.\n", plural(t.Opaque, "connection"), hint)
	}
	if t.Fragments > 0 {
		fmt.Fprintf(&b, "%s of IP packets were not put together.\n", plural(int(t.Fragments), "fragment"))
	}
	if t.Cut {
		b.WriteString("The capture ends within a frame.\n")
	}
	if t.Damage != "" {
		fmt.Fprintf(&b, "What follows was not read: %s.\n", t.Damage)
	}
	return b.String()
}

// areFrames is a number of frames with its verb.
func areFrames(n uint64) string {
	if n == 1 {
		return "1 frame is"
	}
	return fmt.Sprintf("%d frames are", n)
}
