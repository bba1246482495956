package simulation

import (
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

type slugs []cause.Slug

// fault is something that goes wrong with one command, or behind it.
type fault uint8

const (
	fNone fault = iota
	fDelay
	fTrickle
	fError
	fSignal4031
	fCancel
	fClose
	fReset
	fSilent
	fSilentMid
	fCut
	fCutReset
	fWrongFirst
	fWrongLater
	fWrongErr
	fCountedOn
	fDuplicate
	fStaleAhead
	fExtraBehind
	fExtraLater
	fOtherKind
	fMalformed
	fContinued
	fNotPrepared
	fLastWords1053
	fLastWords1927
	fLastWords1153
	fLastWords4082
	fCross4031
	fCross1053
	fCrossKilled
	fErr1158
	fErr1161
	fErr1156
	fErr1153
	fFrameBroken
	fLoadFails
	fLoadErr
	fLoad1159
	fLoadClose
	fSlowReader
	fLateRead
	fIdle4031
	fIdle1053
	fIdleKilled
	fIdleWords
	fIdleClose
	fIdleReset
	fIdlePacket
	numFaults
)

// faultKind is what a fault does and what it may be called.
type faultKind struct {
	name  string
	names slugs // right names; nil: nothing is to be reported
	// peer serves the command, and reports whether the connection goes on; nil if the fault is the client's.
	peer func(p *peer, o *op, result func(*op) [][]byte) bool
	fits func(s *scenario, o *op) bool
}

func any_(*scenario, *op) bool      { return true }
func mysql(s *scenario, _ *op) bool { return !s.mariaDB }

// sends: the answer has packets whose numbers mean something.
func numbered(s *scenario, o *op) bool { return !s.compressed && o.kind != opLoad && o.kind != opBig }
func isRows(_ *scenario, o *op) bool {
	return o.kind == opQuery || o.kind == opPrepared || o.kind == opMulti
}
func isExec(_ *scenario, o *op) bool { return o.kind == opExec }
func isLoad(_ *scenario, o *op) bool { return o.kind == opLoad }
func small(_ *scenario, o *op) bool  { return o.kind != opLoad && o.kind != opBig }

func both(fs ...func(*scenario, *op) bool) func(*scenario, *op) bool {
	return func(s *scenario, o *op) bool {
		for _, f := range fs {
			if !f(s, o) {
				return false
			}
		}
		return true
	}
}

// The names that the end of a connection without a word may have, by where the client stood. Who ended it cannot be seen on it.
var (
	endIdle = slugs{"closed_while_idle", "closed_before_answer", "connection_killed"}
)

var faults [numFaults]faultKind

func init() {
	faults = [numFaults]faultKind{
		fNone:       {name: "none", fits: any_},
		fDelay:      {name: "delayed answer", fits: small, peer: delay},
		fTrickle:    {name: "slow peer", fits: small, peer: trickle},
		fError:      {name: "an error of the statement", fits: small, peer: errAnswer(1064, "42000")},
		fSignal4031: {name: "SIGNAL with errno 4031", fits: both(mysql, small), peer: errAnswer(4031, "HY000")},
		fCancel:     {name: "context ends", names: slugs{"abandoned"}, fits: small, peer: silent(false)},
		fClose:      {name: "closed under a command", names: slugs{"closed_before_answer", "connection_killed"}, fits: any_, peer: endUnder((*end).Close)},
		fReset:      {name: "reset under a command", names: slugs{"closed_before_answer", "connection_killed"}, fits: any_, peer: endUnder(reset)},
		fSilent:     {name: "silence", names: slugs{"peer_unresponsive", "abandoned"}, fits: small, peer: silent(false)},
		fSilentMid:  {name: "silence in the middle of an answer", names: slugs{"peer_unresponsive", "abandoned"}, fits: both(small, isRows), peer: silent(true)},
		fCut:        {name: "cut at a byte", names: slugs{"connection_lost_mid_answer", "closed_before_answer", "slow_reader", "connection_killed"}, fits: small, peer: cut((*end).Close)},
		fCutReset:   {name: "reset at a byte", names: slugs{"connection_lost_mid_answer", "closed_before_answer", "slow_reader", "connection_killed"}, fits: small, peer: cut(reset)},
		fWrongFirst: {name: "wrong number first", names: slugs{"mismatched_answer", "peer_misnumbers_results"}, fits: numbered, peer: misnumber(0)},
		fWrongLater: {name: "wrong number later", names: slugs{"peer_misnumbers_results", "mismatched_answer"}, fits: both(numbered, isRows), peer: misnumber(1)},
		fWrongErr:   {name: "ERR numbered 1 behind rows", names: slugs{"peer_misnumbers_results"}, fits: both(numbered, isRows), peer: wrongErr},
		fCountedOn:  {name: "one counter for the whole connection", names: slugs{"peer_misnumbers_results"}, fits: numbered, peer: countedOn},
		fDuplicate: {name: "a packet twice", names: slugs{"peer_misnumbers_results", "mismatched_answer", "unsolicited_packet"},
			fits: numbered, peer: duplicate},
		fStaleAhead: {name: "another answer in front", names: slugs{"unsolicited_packet", "mismatched_answer", "stale_answer"},
			fits: small, peer: staleAhead},
		fExtraBehind: {name: "another answer behind", names: slugs{"unsolicited_packet"}, fits: small, peer: extraBehind},
		fExtraLater:  {name: "the answer once more, while idle", names: slugs{"unsolicited_packet"}, fits: small, peer: extraLater},
		fOtherKind:   {name: "an answer of another kind", names: slugs{"mismatched_answer", "malformed_packet"}, fits: both(isExec), peer: otherKind},
		fMalformed:   {name: "a malformed packet", names: slugs{"malformed_packet"}, fits: both(isExec), peer: malformed},
		fContinued: {name: "further results behind an ERR", names: slugs{"continued_after_error", "unsolicited_packet"},
			fits: both(numbered, isRows), peer: continued},
		fNotPrepared:   {name: "OK for a PREPARE", names: slugs{"not_prepared"}, fits: func(_ *scenario, o *op) bool { return o.kind == opPrepared }},
		fLastWords1053: {name: "answer 1053, then closed", names: slugs{"server_shutdown", "connection_killed"}, fits: small, peer: lastWords(1053, "08S01")},
		fLastWords1927: {name: "answer 1927, then closed", names: slugs{"connection_killed"}, fits: small, peer: lastWords(1927, "70100")},
		fLastWords1153: {name: "answer 1153, then closed", names: slugs{"packet_too_large"}, fits: any_, peer: lastWords(1153, "08S01")},
		fLastWords4082: {name: "answer 4082, then closed", names: slugs{"server_farewell"}, fits: both(mysql, small), peer: lastWords(4082, "HY000")},
		fCross4031:     {name: "4031 crosses a command", names: slugs{"idle_timeout"}, fits: both(mysql, small), peer: crossing(4031)},
		fCross1053:     {name: "1053 crosses a command", names: slugs{"server_shutdown", "connection_killed"}, fits: small, peer: crossing(1053)},
		fCrossKilled:   {name: "1927 crosses a command", names: slugs{"connection_killed"}, fits: small, peer: crossing(1927)},
		fErr1158:       {name: "1158 to a command", names: slugs{"upload_interrupted", "closed_while_idle", "closed_before_answer"}, fits: any_, peer: words(1158, false)},
		fErr1161:       {name: "1161 in an answer", names: slugs{"slow_reader", "closed_while_idle", "closed_before_answer"}, fits: isRows, peer: words(1161, true)},
		fErr1156:       {name: "1156 to a command", names: slugs{"renumbered_on_the_way", "closed_while_idle", "closed_before_answer"}, fits: small, peer: words(1156, false)},
		fErr1153:       {name: "1153 in the middle of a large command", names: slugs{"packet_too_large", "closed_before_answer"}, fits: func(_ *scenario, o *op) bool { return o.kind == opBig }, peer: words(1153, false)},
		fFrameBroken:   {name: "a broken frame", names: slugs{"compression_corrupt"}, fits: func(s *scenario, o *op) bool { return s.compressed && small(s, o) }, peer: brokenFrame},
		fLoadFails:     {name: "the reader of a file fails", names: slugs{"local_infile_partial"}, fits: isLoad, peer: loadFails},
		// The end behind the ERR may cross the next command.
		fLoadErr:   {name: "ERR in the middle of a file", names: slugs{"local_infile_aborted", "closed_while_idle", "closed_before_answer"}, fits: isLoad, peer: loadEnds(1366)},
		fLoad1159:  {name: "1159 in the middle of a file", names: slugs{"upload_interrupted", "closed_while_idle", "closed_before_answer"}, fits: isLoad, peer: loadEnds(1159)},
		fLoadClose: {name: "closed in the middle of a file", names: slugs{"local_infile_aborted", "connection_killed"}, fits: isLoad, peer: loadEnds(0)},
		fSlowReader: {name: "a reader that is too slow", names: slugs{"slow_reader", "connection_lost_mid_answer"}, fits: func(s *scenario, o *op) bool {
			return o.kind == opQuery && s.readLimit == 0 && !s.instant && !s.compressed
		}, peer: slowReader},
		fLateRead: {name: "the answer is there and not read", names: slugs{"read_too_late"},
			fits: func(s *scenario, o *op) bool {
				return s.readLimit > 0 && small(s, o) && o.kind != opPrepared && !s.compressed
			}, peer: lateRead},
		fIdle4031:   {name: "4031 while idle", names: slugs{"idle_timeout"}, fits: both(mysql, small), peer: whileIdle(4031)},
		fIdle1053:   {name: "1053 while idle", names: slugs{"server_shutdown", "connection_killed"}, fits: small, peer: whileIdle(1053)},
		fIdleKilled: {name: "1927 while idle", names: slugs{"connection_killed"}, fits: small, peer: whileIdle(1927)},
		fIdleWords:  {name: "a proxy's words while idle", names: slugs{"server_farewell"}, fits: small, peer: whileIdle(9001)},
		fIdleClose:  {name: "closed while idle", names: endIdle, fits: small, peer: endIdleBy((*end).Close)},
		fIdleReset:  {name: "reset while idle", names: endIdle, fits: small, peer: endIdleBy(reset)},
		fIdlePacket: {name: "a packet while idle", names: slugs{"unsolicited_packet"}, fits: small, peer: idlePacket},
	}
}

func reset(e *end) error { e.Reset(); return nil }

func (p *peer) hits(o *op) { p.w.hit(p, faults[o.fault].name, faults[o.fault].names...) }

// whole serves the command in order.
func (p *peer) whole(o *op, result func(*op) [][]byte) {
	p.w.execute(p, o)
	p.answer1 = p.number(result(o)...)
	p.write(flat(p.answer1))
}

func delay(p *peer, o *op, result func(*op) [][]byte) bool {
	p.w.plain(faults[o.fault].name)
	p.w.execute(p, o)
	d := o.after
	if limit := p.w.s.readLimit; limit > 0 && d >= limit {
		d = limit - ms(500)
	}
	p.sleep(d)
	p.write(flat(p.number(result(o)...)))
	return true
}

func trickle(p *peer, o *op, result func(*op) [][]byte) bool {
	p.w.plain(faults[o.fault].name)
	p.w.execute(p, o)
	b := flat(p.number(result(o)...))
	step := len(b)/7 + 1
	for len(b) > 0 {
		n := min(step, len(b))
		p.at(answering, o)
		p.write(b[:n])
		b = b[n:]
		p.sleep(min(o.after, ms(300)))
	}
	return true
}

func errAnswer(code uint16, state string) func(*peer, *op, func(*op) [][]byte) bool {
	return func(p *peer, o *op, _ func(*op) [][]byte) bool {
		p.w.plain(faults[o.fault].name)
		p.send(p.err(code, state, "words of the statement's"))
		return true
	}
}

func endUnder(how func(*end) error) func(*peer, *op, func(*op) [][]byte) bool {
	return func(p *peer, o *op, _ func(*op) [][]byte) bool {
		if o.ran {
			p.w.execute(p, o)
		}
		p.sleep(o.after)
		p.hits(o)
		_ = how(p.c)
		return false
	}
}

// silent never answers, or not to the end, and waits until the client has had enough.
func silent(mid bool) func(*peer, *op, func(*op) [][]byte) bool {
	return func(p *peer, o *op, result func(*op) [][]byte) bool {
		p.hits(o)
		if o.ran || mid {
			p.w.execute(p, o)
		}
		if mid {
			b := flat(p.number(result(o)...))
			p.at(answering, o)
			p.write(b[:min(max(o.size, 1), len(b)-1)])
		}
		for {
			p.read() // until it hangs up
		}
	}
}

func cut(how func(*end) error) func(*peer, *op, func(*op) [][]byte) bool {
	return func(p *peer, o *op, result func(*op) [][]byte) bool {
		p.w.execute(p, o)
		b := flat(p.number(result(o)...))
		p.at(answering, o)
		p.write(b[:min(o.size, len(b)-1)])
		p.sleep(o.after)
		p.hits(o)
		_ = how(p.c)
		return false
	}
}

func misnumber(from int) func(*peer, *op, func(*op) [][]byte) bool {
	return func(p *peer, o *op, result func(*op) [][]byte) bool {
		p.w.execute(p, o)
		ps := p.number(result(o)...)
		at := from
		if at > 0 {
			at = 1 + o.size%(len(ps)-1)
		}
		ps[at].seq += byte(7 + o.size%200)
		p.hits(o)
		p.write(flat(ps))
		return p.drain()
	}
}

// drain reads until the client has hung up: the peer has said what it had to say.
func (p *peer) drain() bool {
	for {
		p.read()
	}
}

func wrongErr(p *peer, o *op, result func(*op) [][]byte) bool {
	p.w.execute(p, o)
	ps := p.number(result(o)...)
	ps[len(ps)-1] = packet{1, p.err(1317, "70100", "Query execution was interrupted")}
	p.hits(o)
	p.write(flat(ps))
	return p.drain()
}

func countedOn(p *peer, o *op, result func(*op) [][]byte) bool {
	if p.last == 0 {
		p.whole(o, result)
		return true
	}
	p.w.execute(p, o)
	p.seq = p.last + 1
	p.hits(o)
	p.write(flat(p.number(result(o)...)))
	return p.drain()
}

func duplicate(p *peer, o *op, result func(*op) [][]byte) bool {
	p.w.execute(p, o)
	ps := p.number(result(o)...)
	at := o.size % len(ps)
	ps = append(ps[:at+1:at+1], ps[at:]...)
	p.hits(o)
	p.write(flat(ps))
	return p.drain()
}

// staleAhead sends, in one piece, an answer to another question and the answer.
func staleAhead(p *peer, o *op, result func(*op) [][]byte) bool {
	p.w.execute(p, o)
	other := *o
	other.token, other.fault = strangerToken, fNone
	seq := p.seq
	ps := p.number(result(&other)...)
	p.seq = seq
	ps = append(ps, p.number(result(o)...)...)
	p.hits(o)
	p.write(flat(ps))
	return p.drain()
}

// strangerToken is in answers to questions that nobody asked.
const strangerToken = 1 << 30

func extraBehind(p *peer, o *op, result func(*op) [][]byte) bool {
	p.w.execute(p, o)
	seq := p.seq
	ps := p.number(result(o)...)
	p.seq = seq
	p.hits(o)
	p.write(flat(append(ps, p.number(p.ok(strangerToken))...)))
	return p.drain()
}

// extraLater sends the answer again when the connection is idle for the client, too. If the client asks the next question before
// that, nothing is sent: an answer that crosses a question is nobody's to tell.
func extraLater(p *peer, o *op, result func(*op) [][]byte) bool {
	p.whole(o, result)
	return p.ifIdle(o, func() {
		p.w.hit(p, faults[o.fault].name, faults[o.fault].names...)
		p.write(flat(p.answer1))
	})
}

// ifIdle does something to a connection on which the client is silent for the fault's time.
func (p *peer) ifIdle(o *op, what func()) bool {
	p.last = p.seq
	p.at(idle, o)
	// Clients pause for whole milliseconds: in none of the same instant may a packet slip in between the guard's look and the
	// command, which is a limit of the guard (docs/limits.md) and not what is played here.
	if !p.c.silentFor(max(o.after, ms(1)) + 137*time.Microsecond) {
		return true
	}
	what()
	return p.drain()
}

func otherKind(p *peer, o *op, _ func(*op) [][]byte) bool {
	p.w.execute(p, o)
	p.hits(o)
	p.send([]byte("\xfe"), []byte{1, 2, 3})
	return p.drain()
}

func malformed(p *peer, o *op, _ func(*op) [][]byte) bool {
	p.w.execute(p, o)
	p.hits(o)
	p.send([]byte{0})
	return p.drain()
}

// continued is a peer that goes on with the next result of several when one has failed.
func continued(p *peer, o *op, result func(*op) [][]byte) bool {
	all := p.number(result(o)...)
	p.write(flat(all[:0]))
	p.seq = 0
	head := p.number(p.err(1064, "42000", "You have an error in your SQL syntax"))
	p.write(flat(head))
	rest := p.number(result(o)...)
	p.answer1 = rest
	return p.ifIdle(o, func() {
		p.hits(o)
		p.write(flat(rest))
	})
}

// lastWords is an ERR as an answer behind which the connection ends.
func lastWords(code uint16, state string) func(*peer, *op, func(*op) [][]byte) bool {
	return func(p *peer, o *op, _ func(*op) [][]byte) bool {
		p.hits(o)
		p.send(p.err(code, state, "last words"))
		p.sleep(o.after)
		return false
	}
}

// crossing is a farewell that meets a command on its way, which nobody reads.
func crossing(code uint16) func(*peer, *op, func(*op) [][]byte) bool {
	return func(p *peer, o *op, _ func(*op) [][]byte) bool {
		p.hits(o)
		p.farewell(code)
		return false
	}
}

func (p *peer) farewell(code uint16) {
	if c, ok := p.rw.(*kit.CompressedConn); ok {
		c.Begin()
	}
	p.write(flat([]packet{{0, p.err(code, "HY000", "farewell")}}))
}

// words is an ERR about the stream of packets itself, in place of an answer or within it.
func words(code uint16, mid bool) func(*peer, *op, func(*op) [][]byte) bool {
	return func(p *peer, o *op, result func(*op) [][]byte) bool {
		if mid {
			p.w.execute(p, o)
			seq := p.seq
			n := len(p.number(result(o)...))
			p.seq = seq
			ps := p.number(result(o)...)[:n-1]
			p.seq = ps[len(ps)-1].seq
			p.write(flat(ps))
		}
		p.hits(o)
		p.send(p.err(code, "08S01", "words of the transport's"))
		return false
	}
}

func brokenFrame(p *peer, o *op, _ func(*op) [][]byte) bool {
	p.w.execute(p, o)
	p.hits(o)
	if _, err := p.c.Write([]byte{5, 0, 0, 1, 100, 0, 0, 1, 2, 3, 4, 5}); err != nil {
		return false
	}
	_ = p.rw.(*kit.CompressedConn)
	return p.drain()
}

func loadFails(p *peer, o *op, _ func(*op) [][]byte) bool {
	p.hits(o)
	p.load(o)
	p.w.execute(p, o)
	p.send(p.ok(uint64(o.token)))
	return true
}

// loadEnds ends a LOAD DATA when a part of the file has come: with an ERR, or without a word.
func loadEnds(code uint16) func(*peer, *op, func(*op) [][]byte) bool {
	return func(p *peer, o *op, _ func(*op) [][]byte) bool {
		p.at(loading, o)
		p.send([]byte("\xfbReader::simulation"))
		p.read()
		p.hits(o)
		if code > 0 {
			p.send(p.err(code, "HY000", "words about the file"))
			// What is on its way is read, as servers do, or a reset would overtake the words.
			for len(p.in) > 0 {
				p.read()
			}
		}
		return false
	}
}

func slowReader(p *peer, o *op, result func(*op) [][]byte) bool {
	p.w.execute(p, o)
	p.at(answering, o)
	_ = p.c.SetWriteDeadline(time.Now().Add(2 * time.Second)) // net_write_timeout
	_, err := p.rw.Write(flat(p.number(result(o)...)))
	_ = p.c.SetWriteDeadline(time.Time{})
	if err != nil {
		p.hits(o)
	}
	return err == nil
}

func lateRead(p *peer, o *op, result func(*op) [][]byte) bool {
	p.hits(o)
	p.whole(o, result)
	return p.drain()
}

func whileIdle(code uint16) func(*peer, *op, func(*op) [][]byte) bool {
	return func(p *peer, o *op, result func(*op) [][]byte) bool {
		p.whole(o, result)
		return p.ifIdle(o, func() {
			p.hits(o)
			p.farewell(code)
			_ = p.c.Close()
		})
	}
}

func endIdleBy(how func(*end) error) func(*peer, *op, func(*op) [][]byte) bool {
	return func(p *peer, o *op, result func(*op) [][]byte) bool {
		p.whole(o, result)
		return p.ifIdle(o, func() {
			p.hits(o)
			_ = how(p.c)
		})
	}
}

func idlePacket(p *peer, o *op, result func(*op) [][]byte) bool {
	p.whole(o, result)
	return p.ifIdle(o, func() {
		p.hits(o)
		p.write(flat([]packet{{1, mysqltest.OKPayload(0, strangerToken, p.status(), 0)}}))
	})
}
