package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/proxyproto"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/internal/delivery"
	"github.com/seqguard/mysql-seqguard/internal/testimony"
)

// Proxy passes connections on. Make it with New.
type Proxy struct {
	cfg    Config
	dialer net.Dialer
	server string // address for reports
	kind   string // network of the clients' side

	mu       sync.Mutex
	sessions map[*conn]struct{}
	closing  bool
	all      sync.WaitGroup
	loops    loops

	tell    sync.Mutex
	limiter limiter
	last    []*report.Violation // the last ones, for the page
	telling *delivery.Queue[told]
	started time.Time

	flushed  sync.Once
	flushEnd time.Time

	kills  report.Kills
	failed report.Failures
	idle   idleEnds
	clock  testimony.Watch
	unseen sync.Once // tells that secrets are missing

	// life ends with Close: nobody waits for a dial any more.
	life context.Context
	end  context.CancelFunc

	Counters Counters
	seen     atomic.Uint64 // commands, of connections that are over
}

// Counters count since the start.
type Counters struct {
	Connections, Refused, Failed atomic.Uint64
	Violations, Knocks, Dropped  atomic.Uint64
	Untracked, Opaque            atomic.Uint64 // conversations
}

// New makes a proxy that does not listen yet.
func New(cfg Config) *Proxy {
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = 10 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = func(string, ...any) {}
	}
	_, server := Network(cfg.Server)
	p := &Proxy{
		cfg: cfg, dialer: net.Dialer{Timeout: cfg.DialTimeout}, server: server,
		sessions: map[*conn]struct{}{}, started: time.Now(), limiter: newLimiter(),
	}
	if cfg.Keys != nil {
		cfg.Keys.Problem = func(err error) { p.log("the key log cannot be read, so TLS is not seen: %v", err) }
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.telling = delivery.New(delivery.Limit{Items: toldAtMost, Weight: toldAtMost}, p.deliver, p.fault)
	return p
}

// Serve accepts connections until ctx is done; then it waits for those that are
// busy, Config.Grace at most.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	p.kind = l.Addr().Network()
	defer p.loops.stop()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer func() { _ = l.Close() }()
	for wait := time.Duration(0); ; {
		c, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			p.accepted(c)
			continue
		case ctx.Err() != nil:
			p.drain()
			p.flush()
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		}
		// Out of file descriptors, or a client that has gone already: neither lasts.
		wait = min(max(2*wait, 5*time.Millisecond), time.Second)
		p.log("cannot accept a connection: %v%s", err, hint(err))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// hint says what to do about an error, if that is not plain from it.
func hint(err error) string {
	if errors.Is(err, syscall.EMFILE) {
		return " (a connection takes two of this process: raise its limit, ulimit -n or LimitNOFILE, or set -max-connections)"
	}
	return ""
}

func (p *Proxy) accepted(c net.Conn) {
	s := &conn{p: p, start: time.Now()}
	s.client.Conn = c
	p.mu.Lock()
	full := p.cfg.Max > 0 && len(p.sessions) >= p.cfg.Max
	if !full && !p.closing {
		p.sessions[s] = struct{}{}
		p.all.Add(1)
	}
	closing := p.closing
	p.mu.Unlock()
	switch {
	case closing:
		_ = c.Close()
	case full:
		p.Counters.Refused.Add(1)
		p.logOf(overMax, "%s: refused with ERR 1040: %d connections are open, the limit of -max-connections", c.RemoteAddr(), p.cfg.Max)
		// In place of the greeting, as the server itself would say it.
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Write(tooMany)
		_ = c.Close()
	default:
		s.number = p.Counters.Connections.Add(1)
		p.clock.Start(p.watched)
		go s.run()
	}
}

// tooMany is ERR 1040 ER_CON_COUNT_ERROR. Before the login it has no SQL state.
var tooMany = append([]byte{0, 0, 0, 0, 0xFF, 0x10, 0x04}, "Too many connections to seqguard proxy"...)

func init() { tooMany[0] = byte(len(tooMany) - 4) }

func (p *Proxy) gone(s *conn) {
	p.mu.Lock()
	delete(p.sessions, s)
	p.mu.Unlock()
	p.all.Done()
}

// dial connects to the server and tells it whose connection it is, if it is to.
func (p *Proxy) dial(client net.Conn) (net.Conn, error) {
	network, address := Network(p.cfg.Server)
	c, err := p.dialer.DialContext(p.life, network, address)
	if err != nil || p.cfg.Header == 0 {
		return c, err
	}
	h := proxyproto.Append(nil, p.cfg.Header, addrPort(client.RemoteAddr()), addrPort(client.LocalAddr()))
	if _, err := c.Write(h); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	return netip.AddrPort{}
}

// drain ends connections as they become idle, and all when the time is up.
func (p *Proxy) drain() {
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { p.all.Wait(); close(done) }()
	end := time.After(p.cfg.Grace)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		p.endIdle()
		select {
		case <-done:
			return
		case <-end:
			_ = p.Close()
			<-done
			return
		case <-tick.C:
		}
	}
}

func (p *Proxy) endIdle() {
	for _, s := range p.list() {
		s.endIdle()
	}
}

// open is how many connections there are.
func (p *Proxy) open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sessions)
}

// list is a copy of the sessions.
func (p *Proxy) list() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*conn, 0, len(p.sessions))
	for s := range p.sessions {
		list = append(list, s)
	}
	return list
}

// Close ends all connections at once, those too that wait for the server.
func (p *Proxy) Close() error {
	p.end()
	for _, s := range p.list() {
		s.close()
	}
	return nil
}

const lastKept = 32

// report notes a violation, and has it told unless there are too many. It does not wait for who is told: that may be a pipe that
// nobody reads, and other connections wait for the caller.
func (p *Proxy) report(v *report.Violation) {
	if v.Quiet() {
		p.Counters.Knocks.Add(1)
		return
	}
	p.Counters.Violations.Add(1)
	p.tell.Lock()
	defer p.tell.Unlock()
	if len(p.last) >= lastKept {
		p.last = append(p.last[:0:0], p.last[1:]...)
	}
	p.last = append(p.last, v)
	ok, dropped := p.take(string(v.Cause.Slug))
	if !ok || !p.telling.Put(told{v: v, dropped: dropped}, 1, time.Time{}) {
		p.Counters.Dropped.Add(1)
	}
}

// take asks whether one more of a kind may be told, with tell held, and returns how many
// were not.
func (p *Proxy) take(kind string) (ok bool, dropped int) {
	ok, dropped = p.limiter.take(kind, time.Now())
	if !ok && dropped == 1 { // the storm may be over before another one may be told
		time.AfterFunc(leftOutTime, func() {
			p.tell.Lock()
			defer p.tell.Unlock()
			p.tellLeftOut(kind)
		})
	}
	return ok, dropped
}

// leftOutTime is how soon it is said that reports were left out.
const leftOutTime = 5 * time.Second

// tellLeftOut says how many of a kind were left out and not yet spoken of, with tell
// held.
func (p *Proxy) tellLeftOut(kind string) {
	if n := p.limiter.forget(kind); n > 0 {
		p.log(leftOut, n, kind)
	}
}

const leftOut = "%d more reports of %s were left out: there were too many"

// log has a line written, in its turn. Like report it does not wait for that.
func (p *Proxy) log(format string, args ...any) {
	p.telling.Put(told{line: fmt.Sprintf(format, args...)}, 1, time.Time{})
}

// These lines come with connections, and like reports in storms: see logOf.
const (
	unreached = "a server that is not reached"
	failedTLS = "TLS that fails"
	overMax   = "clients that are one too many"
	endedIdle = "idle connections that end"
)

// logOf is log for a line of which there may be many.
func (p *Proxy) logOf(kind, format string, args ...any) {
	p.tell.Lock()
	defer p.tell.Unlock()
	ok, dropped := p.take(kind)
	if !ok {
		return
	}
	if dropped > 0 {
		p.log(leftOut, dropped, kind)
	}
	p.log(format, args...)
}

// fault notes a panic of this program, which is its own fault: the connections go on.
func (p *Proxy) fault(v any) {
	p.log("internal error, a violation was not told; please report it: %v\n%s", v, debug.Stack())
}

// told is a violation that is to be told, and how many of its cause were not told
// before it; or a line for the log.
type told struct {
	v       *report.Violation
	dropped int
	line    string
}

// toldAtMost is how many of them may wait.
const toldAtMost = 1024

func (p *Proxy) deliver(t told, lost uint64) {
	if lost > 0 {
		p.cfg.Log("%d more reports were left out: they came faster than they could be written", lost)
	}
	if t.v == nil {
		p.cfg.Log("%s", t.line)
		return
	}
	if t.dropped > 0 {
		p.cfg.Log(leftOut, t.dropped, t.v.Cause.Slug)
	}
	if p.cfg.OnReport != nil {
		p.cfg.OnReport(t.v)
	}
}

// Farewell has the last line written, behind all that was found: it waits for that,
// for a moment at the most, because nobody may be reading.
func (p *Proxy) Farewell() {
	p.tellIdleEnds()
	p.tell.Lock()
	for _, kind := range p.limiter.dropped() {
		p.tellLeftOut(kind)
	}
	p.tell.Unlock()
	n := &p.Counters
	p.log("seqguard proxy ends: %d connections, %d violations, %d knocks, %d untracked, %d not seen",
		n.Connections.Load(), n.Violations.Load(), n.Knocks.Load(), n.Untracked.Load(), n.Opaque.Load())
	p.flush()
}

// flush waits until what was found has been told, for flushTime at the most from the
// first call on.
func (p *Proxy) flush() {
	p.flushed.Do(func() { p.flushEnd = time.Now().Add(flushTime) })
	ctx, cancel := context.WithDeadline(context.Background(), p.flushEnd)
	defer cancel()
	_ = p.telling.Flush(ctx)
}

const flushTime = 5 * time.Second

// lastReports are the last ones, newest first.
func (p *Proxy) lastReports() []*report.Violation {
	p.tell.Lock()
	defer p.tell.Unlock()
	out := make([]*report.Violation, 0, len(p.last))
	for i := len(p.last) - 1; i >= 0; i-- {
		out = append(out, p.last[i])
	}
	return out
}
