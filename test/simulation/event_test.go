package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// event is something that happens to the server, or to many of its connections.
type event struct {
	kind *eventKind
	at   time.Duration
	pick uint64
}

type eventKind struct {
	name  string
	extra slugs // what the end of a connection by it may be called besides
	run   func(w *world, k *eventKind, r *rand.Rand)
}

var eventKinds = []eventKind{
	{name: "KILL of one", extra: slugs{"connection_killed"}, run: func(w *world, k *eventKind, r *rand.Rand) { w.kill(k, r, 1, nil) }},
	{name: "KILL of four", extra: slugs{"connection_killed"}, run: func(w *world, k *eventKind, r *rand.Rand) { w.kill(k, r, 4, nil) }},
	{name: "balancer closes idle ones", run: func(w *world, k *eventKind, r *rand.Rand) {
		w.kill(k, r, 1000, func(p *peer) bool { return p.phase == idle })
	}},
	{name: "a proxy's statement limit", run: func(w *world, k *eventKind, r *rand.Rand) {
		w.kill(k, r, 1000, func(p *peer) bool { return p.phase == running })
	}},
	{name: "crash", extra: slugs{"server_shutdown"}, run: func(w *world, k *eventKind, r *rand.Rand) {
		w.refuse(time.Second)
		w.end(k, w.alive(), reset)
	}},
	{name: "orderly shutdown", extra: slugs{"server_shutdown", "connection_killed"}, run: func(w *world, k *eventKind, r *rand.Rand) {
		w.refuse(2 * time.Second)
		pass(ms(200))
		// The threads do not end all at once. A crash may take the rest: who waits for the server to stop kills it when that takes long.
		ps := w.alive()
		r.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
		w.end(k, ps[:(len(ps)+1)/2], (*end).Close)
		pass(ms(300))
		w.end(k, w.alive(), (*end).Close)
	}},
	{name: "a look at the live page", run: look},
	{name: "offline_mode", extra: slugs{"server_shutdown"}, run: func(w *world, k *eventKind, r *rand.Rand) {
		w.mu.Lock()
		w.offline = time.Now().Add(time.Second)
		w.mu.Unlock()
		w.end(k, w.alive(), (*end).Close)
	}},
}

func look(w *world, _ *eventKind, _ *rand.Rand) {
	list, _ := wrapconn.Connections("", 0)
	_ = fmt.Sprint(list)
	_ = wrapconn.Holders(nil)
	_ = wrapconn.LastReports()
	_ = wrapconn.LastAbandoned()
}

// kill ends n connections that fit, at random.
func (w *world) kill(k *eventKind, r *rand.Rand, n int, fits func(*peer) bool) {
	var ps []*peer
	for _, p := range w.alive() {
		w.mu.Lock()
		ok := fits == nil || fits(p)
		w.mu.Unlock()
		if ok {
			ps = append(ps, p)
		}
	}
	r.Shuffle(len(ps), func(i, j int) { ps[i], ps[j] = ps[j], ps[i] })
	w.end(k, ps[:min(n, len(ps))], (*end).Close)
}

// alive lists the connections that neither side has ended.
func (w *world) alive() []*peer {
	w.mu.Lock()
	all := append([]*peer(nil), w.conns...)
	w.mu.Unlock()
	out := all[:0]
	for _, p := range all {
		p.c.in.mu.Lock()
		over := p.c.closed || p.c.in.fin
		p.c.in.mu.Unlock()
		if !over {
			out = append(out, p)
		}
	}
	return out
}

func (w *world) refuse(d time.Duration) {
	w.mu.Lock()
	w.refused = time.Now().Add(d)
	w.mu.Unlock()
}

// end ends connections without a word.
func (w *world) end(k *eventKind, ps []*peer, how func(*end) error) {
	for _, p := range ps {
		w.mu.Lock()
		names := slices.Concat(endNames(p.phase), k.extra)
		if p.op != nil && p.op.kind == opBig {
			names = append(names, "packet_too_large")
		}
		w.mu.Unlock()
		w.hit(p, k.name, names...)
		_ = how(p.c)
	}
}

// endNames is what the end of a connection may be called, by where the peer stood. What it has written may not have been read, and what
// the client has written may be on its way, so the phases beside it count, too.
func endNames(ph phase) []cause.Slug {
	switch ph {
	case beforeGreeting:
		return slugs{"no_greeting", "login_unanswered"}
	case inLogin:
		return slugs{"login_unanswered", "closed_while_idle"}
	case idle:
		return slugs{"closed_while_idle", "closed_before_answer"}
	case running:
		return slugs{"closed_before_answer", "closed_while_idle", "connection_lost_mid_answer"}
	case answering:
		return slugs{"connection_lost_mid_answer", "slow_reader", "closed_while_idle"}
	}
	return slugs{"local_infile_aborted", "closed_before_answer", "closed_while_idle"}
}
