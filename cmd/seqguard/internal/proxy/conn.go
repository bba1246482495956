package proxy

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/keylog"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/proxyproto"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// conn is one connection through the proxy.
type conn struct {
	p              *Proxy
	number         uint64
	client, server end
	start          time.Time
	closed         atomic.Bool
	tapped         bool // TLS ends here: what passes is looked at below it

	// unread: what is passed on to the client has not been taken yet. taken is when
	// it was, on the conversation's clock.
	unread atomic.Bool
	taken  atomic.Int64

	mu      sync.Mutex
	link    *link // of a loop that relays it
	talk    conversation.Conversation
	begun   bool
	address string // of the client
	head    []byte // its first bytes, if they may be a PROXY protocol header
	headed  bool   // they were one, or were none
	random  keylog.Random
	giveUp  *time.Timer // ends the waiting for secrets
	parent  traceparent
}

func (s *conn) run() {
	if !s.connect() {
		s.p.gone(s)
		return
	}
	s.mu.Lock()
	s.begin()
	s.mu.Unlock()
	switch {
	case s.p.cfg.Terminate != nil:
		s.terminate()
	case s.p.loops.relay(s):
		return // its goroutine is over, the connection is not
	default:
		relay(&s.client, &s.server, s)
	}
	s.over()
}

// connect reports whether there is a connection to the server.
func (s *conn) connect() bool {
	server, err := s.p.dial(s.client.Conn)
	if err != nil {
		if !s.closed.Load() {
			s.p.Counters.Failed.Add(1)
			s.p.logOf(unreached, "%s: no connection to the server: %v%s", s.client.RemoteAddr(), err, hint(err))
		}
		s.client.abort() // the nearest to a refused connection that is left
		return false
	}
	s.mu.Lock()
	s.server.Conn = server
	s.mu.Unlock()
	if s.closed.Load() {
		s.server.abort()
		s.client.abort()
		return false
	}
	return true
}

// begin starts the conversation, with mu held.
func (s *conn) begin() {
	cfg := &s.p.cfg
	s.address = s.client.RemoteAddr().String()
	if s.p.kind == "unix" {
		s.address = "unix socket"
	}
	c := conversation.Config{
		Start: s.start, Network: s.p.kind, History: cfg.History,
		Client: cause.Client{Address: s.address}, Vantage: cause.VantageProxy,
		OnKill: func(k conversation.Kill) { s.p.kills.Add(s.p.server, k) },
	}
	if cfg.Keys != nil && cfg.Terminate == nil {
		c.Hold = held(s.p.open())
		c.KeyLog = s.secrets
	} else if cfg.Terminate != nil {
		c.Hold = held(s.p.open()) // the key log of crypto/tls comes in the middle of a flight
	}
	s.talk.Init(c)
	s.begun = true
}

// now is the conversation's clock.
func (s *conn) now() time.Duration { return max(time.Since(s.start), 1) }

// bytes implements watcher.
func (s *conn) bytes(d session.Direction, p []byte) bool {
	switch {
	case d == session.FromServer:
		s.unread.Store(true)
	case s.tapped: // p is what look sees encrypted
		s.mu.Lock()
		s.parent.look(p, s.taken.Load())
		s.parent.behind(&s.talk)
		s.mu.Unlock()
	}
	if !s.tapped {
		return s.look(d, p)
	}
	return true
}

// look shows the conversation bytes as they are on the client's wire. It reports
// whether the connection goes on: a command that comes behind the end of an idle one
// must not reach the server, whose answer nobody would get.
func (s *conn) look(d session.Direction, p []byte) bool {
	s.mu.Lock()
	if s.closed.Load() {
		s.mu.Unlock()
		return false
	}
	if d == session.FromClient && !s.tapped {
		s.parent.look(p, s.taken.Load())
	}
	if d == session.FromClient && !s.headed {
		p = s.header(p)
	}
	if taken := time.Duration(s.taken.Load()); d == session.FromServer && taken > 0 {
		// While it did not take what it had, nobody read on.
		s.talk.ReadBegan(taken)
	}
	s.talk.Bytes(d, p, s.now())
	if d == session.FromClient {
		s.parent.behind(&s.talk)
	}
	s.unlock()
	return true
}

// passed implements watcher.
func (s *conn) passed(d session.Direction) {
	if d == session.FromServer {
		s.taken.Store(int64(s.now()))
		s.unread.Store(false)
	}
}

// header passes over a PROXY protocol header of something in front. The first bytes of
// a client are looked at together until it is known whether they are one; a server that
// does not wait for it may have greeted before.
func (s *conn) header(p []byte) []byte {
	if len(s.head) > 0 {
		p = append(s.head, p...)
	}
	n, source, v := proxyproto.Parse(p)
	if v == proxyproto.Unsure {
		s.head = bytes.Clone(p)
		return nil
	}
	s.head, s.headed = nil, true
	if v == proxyproto.Yes && source.IsValid() {
		s.address = source.String()
		s.talk.ClientAddress(s.address)
	}
	return p[n:]
}

// unlock releases the lock and tells what was found under it.
func (s *conn) unlock() {
	var found []conversation.Finding
	var parent traceIDs
	if s.talk.Found() {
		found, parent = s.talk.Take(), s.parent.value()
	}
	s.mu.Unlock()
	s.tellAll(found, parent)
}

// tellAll tells what was found. The lock is not held.
func (s *conn) tellAll(found []conversation.Finding, parent traceIDs) {
	for _, f := range found {
		if s.p.cfg.Keys == nil || !report.EventsEnded(&f) {
			s.tell(f, parent)
			continue
		}
		// What killed it may be held back for its secrets and not be known yet.
		s.p.all.Add(1)
		time.AfterFunc(killWait, func() {
			defer s.p.all.Done()
			s.tell(f, parent)
		})
	}
}

const killWait = time.Second

// tell reports what was found, unless it is what the client itself has asked for.
// A fault of ours in it must not end the connections of all others.
func (s *conn) tell(f conversation.Finding, parent traceIDs) {
	defer func() {
		if v := recover(); v != nil {
			s.p.fault(v)
		}
	}()
	if s.p.kills.Own(s.p.server, &f) {
		return
	}
	f.Evidence.OwnCertificate = s.p.cfg.Terminate != nil
	if e := &f.Evidence; e.Stream != cause.StreamOpen || e.ServerError != nil {
		e.RelatedFailures = s.p.failed.Add(s.p.server, int(s.number), f.Time)
	}
	s.p.lateHere(&f)
	named := f.Diagnose()
	if s.p.cfg.Header > 0 && named.Slug == "proxy_header_refused" {
		named.Advice = fmt.Sprintf("It is this proxy that sends the header: start it without -proxy-protocol %d, unless the server is to take one. ", s.p.cfg.Header) + named.Advice
	}
	s.p.report(&report.Violation{
		Cause: named, Finding: f, Server: s.p.server, Started: s.start, Number: int(s.number),
		TraceID: parent.trace, ParentID: parent.span, Sampled: parent.sampled, Local: s.server.LocalAddr(), Peer: s.server.RemoteAddr(),
	})
}

// ended implements watcher.
func (s *conn) ended(d session.Direction, err error) {
	if s.closed.Load() {
		return // it is this proxy's doing
	}
	how := cause.StreamEOF
	switch {
	case err == nil || err == io.ErrUnexpectedEOF:
	case isReset(err):
		how = cause.StreamReset
	default:
		how = cause.StreamBroken
	}
	s.mu.Lock()
	before, now := s.talk.State(), s.now()
	s.talk.End(d, how, err, now)
	idle := d == session.FromServer && how != cause.StreamBroken && isIdleEnd(&before, s.unread.Load()) && !s.talk.Found()
	s.unlock()
	if idle {
		s.p.idleEnd(&before, now-before.LastByte)
	}
}

// failed implements watcher.
func (s *conn) failed(d session.Direction, n int, err error) {
	if s.closed.Load() {
		return
	}
	s.mu.Lock()
	if d == session.FromClient {
		s.talk.WriteFailed(n)
	} else {
		s.talk.End(session.FromClient, cause.StreamReset, err, s.now())
	}
	s.unlock()
}

// over is called when both ends are closed.
func (s *conn) over() {
	defer s.p.gone(s)
	s.mu.Lock()
	s.lastLook()
	found, parent := s.talk.Take(), s.parent.value()
	s.talk.Close()
	c := s.talk.Counts()
	s.p.seen.Add(s.talk.State().Commands)
	s.begun = false
	random := s.random
	if s.giveUp != nil {
		s.giveUp.Stop() // it would keep the connection in memory for as long
	}
	s.mu.Unlock()
	s.tellAll(found, parent)
	if random != (keylog.Random{}) {
		s.p.cfg.Keys.Forget(random)
	}
	if c.Untracked > 0 {
		s.p.Counters.Untracked.Add(1)
	}
	if c.Opaque > 0 {
		s.p.Counters.Opaque.Add(1)
	}
}

// secrets is asked by the conversation, with the lock held, when the ClientHello has
// passed.
func (s *conn) secrets(random [32]byte) []byte {
	keys := s.p.cfg.Keys
	s.random, s.giveUp = random, time.AfterFunc(s.p.cfg.KeyWait, func() { s.tired(random) })
	// The follower may call back at once, from its own goroutine, and waits there for
	// the lock.
	return keys.Lines(random, func(lines []byte) {
		s.mu.Lock()
		if s.begun {
			s.talk.Secrets(lines, s.now())
		}
		s.unlock()
	})
}

// lastLook is for a connection that has ended before its secrets came, with mu held.
func (s *conn) lastLook() {
	if keys := s.p.cfg.Keys; keys != nil && s.talk.State().Held > 0 {
		s.talk.Secrets(keys.Lines(s.random, func([]byte) {}), s.now())
	}
	if s.talk.State().Held > 0 {
		s.talk.Opaque(noSecrets, s.now())
	}
}

const noSecrets = "its secrets are not in the key log"

// leastWait is how soon it is looked again whether a server has answered.
const leastWait = 100 * time.Millisecond

// tired gives up waiting for secrets. Nothing waits for them before the server has
// answered the ClientHello.
func (s *conn) tired(random keylog.Random) {
	s.mu.Lock()
	st := s.talk.State()
	if s.begun && st.Held == 0 && st.OpaqueReason == "" && !s.p.cfg.Keys.Has(random) {
		s.giveUp.Reset(max(s.p.cfg.KeyWait, leastWait))
		s.mu.Unlock()
		return
	}
	unseen, address := s.begun && st.Held > 0, s.address
	if unseen {
		s.talk.Opaque(noSecrets, s.now())
	}
	s.unlock()
	s.p.cfg.Keys.Forget(random)
	if unseen { // one line is enough to find a wrong path, or a client that writes none
		s.p.unseen.Do(func() {
			s.p.log("%s: its TLS is not seen, because its secrets are not in the key log after %v (-key-wait); others of which that is so are only counted", address, s.p.cfg.KeyWait)
		})
	}
}

// idle reports whether ending the connection now hurts nobody. Of one that cannot be
// seen, nothing is known.
func (s *conn) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isIdle()
}

// isIdle is idle with mu held.
func (s *conn) isIdle() bool {
	if !s.begun || s.unread.Load() {
		return false
	}
	st := s.talk.State()
	if st.ServerEnd != cause.StreamOpen && st.Connection != 0 {
		return true // a MySQL server is gone, and its client, who has all that it said, has not looked yet
	}
	return st.Phase == session.PhaseReady && st.Pending == 0 && !st.InTransaction
}

// endIdle ends the connection if it is idle. What comes from now on does not pass.
func (s *conn) endIdle() {
	s.mu.Lock()
	idle := s.isIdle()
	if idle {
		s.closed.Store(true)
	}
	s.mu.Unlock()
	if idle {
		s.close()
	}
}

// close ends the connection from this side.
func (s *conn) close() {
	s.closed.Store(true)
	s.mu.Lock()
	server, link := s.server.Conn, s.link
	s.mu.Unlock()
	if link != nil {
		link.close()
		return
	}
	_ = s.client.Close()
	if server != nil {
		_ = server.Close()
	}
}
