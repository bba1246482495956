package simulation

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// phase is where a peer stands, as it sees it: what a connection that is cut off must be called depends on it.
type phase uint8

const (
	beforeGreeting phase = iota
	inLogin
	idle
	running   // a command has been read, nothing of its answer written
	answering // a part of the answer has been written
	loading   // the file of a LOAD DATA is being read
)

// peer is a scripted server's side of one connection.
type peer struct {
	w     *world
	n     int // of the connection, from 1; the server's id of it
	fault *loginFault
	made  time.Time
	c     *end
	rw    io.ReadWriter // c, or the compressed protocol on it
	in    []byte        // payload of the packet that was read last

	classic bool // rows end with EOF
	seq     byte
	last    byte // number of the last packet of the exchange before
	stmts   map[uint32]*op
	nstmt   uint32
	tx      bool
	answer1 []packet // the last whole answer, for what is sent twice

	phase phase // guarded by w.mu
	op    *op   // of the command that was read last; guarded by w.mu
}

type packet struct {
	seq     byte
	payload []byte
}

// gone is what a peer panics with to leave its script: the connection is over.
type gone struct{}

func (p *peer) serve() {
	defer p.w.peers.Done()
	defer p.c.Close()
	defer func() {
		if r := recover(); r != nil && r != (gone{}) {
			panic(r)
		}
	}()
	if p.login() {
		for p.command() {
		}
	}
}

func (p *peer) at(ph phase, o *op) {
	p.w.mu.Lock()
	p.phase, p.op = ph, o
	p.w.mu.Unlock()
}

func (p *peer) read() {
	var h [4]byte
	if _, err := io.ReadFull(p.rw, h[:]); err != nil {
		panic(gone{})
	}
	n := int(h[0]) | int(h[1])<<8 | int(h[2])<<16
	if cap(p.in) < n {
		p.in = make([]byte, n)
	}
	p.in = p.in[:n]
	p.seq = h[3]
	if _, err := io.ReadFull(p.rw, p.in); err != nil {
		panic(gone{})
	}
}

func (p *peer) write(b []byte) {
	if _, err := p.rw.Write(b); err != nil {
		panic(gone{})
	}
}

// send writes packets in one piece, numbered on from the last one read or sent.
func (p *peer) send(payloads ...[]byte) { p.write(flat(p.number(payloads...))) }

func (p *peer) number(payloads ...[]byte) []packet {
	out := make([]packet, len(payloads))
	for i, b := range payloads {
		p.seq++
		out[i] = packet{p.seq, b}
	}
	return out
}

func flat(ps []packet) []byte {
	var b []byte
	for _, k := range ps {
		b = append(b, byte(len(k.payload)), byte(len(k.payload)>>8), byte(len(k.payload)>>16), k.seq)
		b = append(b, k.payload...)
	}
	return b
}

func (p *peer) ok(id uint64) []byte { return mysqltest.OKPayload(0, id, p.status(), 0) }

func (p *peer) status() uint16 {
	if p.tx {
		return mysqltest.StatusAutocommit | mysqltest.StatusInTrans
	}
	return mysqltest.StatusAutocommit
}

func (p *peer) err(code uint16, state, message string) []byte {
	return mysqltest.ERRPayload(code, state, message)
}

func (p *peer) version() string {
	if p.w.s.mariaDB {
		return "5.5.5-10.11.19-MariaDB"
	}
	return "9.7.0"
}

func (p *peer) capabilities() uint32 {
	c := uint32(mysqltest.DefaultCapabilities)
	if p.classic {
		c &^= mysqltest.CapDeprecateEOF
	}
	if p.w.s.compressed {
		c |= mysqltest.CapCompress
	}
	if f := p.fault; f != nil && f.tls {
		c |= mysqltest.CapSSL
	}
	return c
}

func (p *peer) greeting() []byte {
	return mysqltest.GreetingPayload(mysqltest.GreetingOptions{Version: p.version(), ThreadID: uint32(p.n), Capabilities: p.capabilities()})
}

// login reports whether the connection is ready for commands.
func (p *peer) login() bool {
	f := p.w.s.logins[p.n]
	p.w.mu.Lock()
	offline := time.Now().Before(p.w.offline)
	p.w.mu.Unlock()
	if offline && (f == nil || !f.stall) {
		f = &offlineLogin
	}
	p.fault = f
	if f != nil && f.first != nil {
		p.w.hit(p, f.name, f.names...)
		f.first(p)
		return false
	}
	p.seq = 255
	p.at(inLogin, nil)
	p.send(p.greeting())
	if f != nil && f.greeted != nil {
		p.w.hit(p, f.name, f.names...)
		f.greeted(p)
		return false
	}
	p.read()
	if len(p.in) < 32 {
		panic(gone{})
	}
	p.classic = binary.LittleEndian.Uint32(p.in)&p.capabilities()&mysqltest.CapDeprecateEOF == 0
	if f != nil {
		if f.names != nil {
			p.w.hit(p, f.name, f.names...)
		} else {
			p.w.plain(f.name)
		}
		f.login(p)
		return false
	}
	p.send(p.ok(0))
	p.last = p.seq
	if p.w.s.compressed {
		p.rw = &kit.CompressedConn{Conn: p.c}
	}
	p.at(idle, nil)
	return true
}

// command serves one command and reports whether more may come.
func (p *peer) command() bool {
	p.read()
	if len(p.in) == 0 {
		return false
	}
	if !p.w.s.instant {
		pass(20 * time.Microsecond)
	}
	cmd, body := p.in[0], p.in[1:]
	switch cmd {
	case mysqltest.ComQuit:
		if len(p.stmts) > 0 {
			p.w.problem("left open: %d statements on connection %d", len(p.stmts), p.n)
		}
		return false
	case mysqltest.ComPing:
		p.at(running, nil)
		p.send(p.ok(0))
	case mysqltest.ComStmtClose:
		delete(p.stmts, binary.LittleEndian.Uint32(body))
		return true
	case mysqltest.ComQuery:
		if more, done := p.control(body); done {
			return more
		}
		o := p.w.op(token(body))
		p.at(running, o)
		if !p.answer(o, p.result) {
			return false
		}
	case mysqltest.ComStmtPrepare:
		o := p.w.op(token(body))
		p.at(running, o)
		if o.fault == fNotPrepared && p.w.first(o) {
			p.w.hit(p, faults[o.fault].name, faults[o.fault].names...)
			p.send(p.ok(0))
			return true
		}
		p.nstmt++
		p.stmts[p.nstmt] = o
		p.prepared(o)
	case mysqltest.ComStmtExecute:
		o := p.stmts[binary.LittleEndian.Uint32(body)]
		p.at(running, o)
		if !p.answer(o, p.binary) {
			return false
		}
	default:
		panic(fmt.Sprintf("command %#x", cmd))
	}
	p.last = p.seq
	p.at(idle, nil)
	return true
}

// control answers what is about transactions.
func (p *peer) control(sql []byte) (more, done bool) {
	switch string(sql) {
	case "START TRANSACTION":
		p.tx = true
	case "COMMIT", "ROLLBACK":
		p.tx = false
	default:
		return true, false
	}
	p.at(running, nil)
	p.send(p.ok(0))
	p.last = p.seq
	p.at(idle, nil)
	return true, true
}

// token reads the token of a statement.
func token(sql []byte) int {
	_, rest, ok := bytes.Cut(sql, []byte("/*t="))
	digits, _, ok2 := bytes.Cut(rest, []byte("*/"))
	n, err := strconv.Atoi(string(digits))
	if !ok || !ok2 || err != nil {
		panic(fmt.Sprintf("a statement without a token: %q", sql[:min(len(sql), 80)]))
	}
	return n
}

// value is what row i of the answer to a token has.
func value(token, i int) string { return strconv.Itoa(token) + ":" + strconv.Itoa(i) }

func (p *peer) prepared(o *op) {
	b := []byte{0}
	b = binary.LittleEndian.AppendUint32(b, p.nstmt)
	b = append(b, 1, 0, 1, 0, 0, 0, 0) // a column, a parameter, filler, warnings
	col := mysqltest.ColumnPayload(mysqltest.Column{Name: "?"})
	all := [][]byte{b, col}
	if p.classic {
		all = append(all, mysqltest.EOFPayload(0, p.status()))
	}
	all = append(all, col)
	if p.classic {
		all = append(all, mysqltest.EOFPayload(0, p.status()))
	}
	p.send(all...)
}

var column = mysqltest.ColumnPayload(mysqltest.Column{Name: "v"})

// result is the answer of the text protocol to a command, without numbers.
func (p *peer) result(o *op) [][]byte {
	switch o.kind {
	case opExec, opBig:
		return [][]byte{p.ok(uint64(o.token))}
	case opMulti:
		one := p.rows(o, o.rows, p.status()|mysqltest.StatusMoreResults, textRow)
		return append(one, p.rows(o, o.rows, p.status(), textRow)...)
	}
	return p.rows(o, o.rows, p.status(), textRow)
}

func (p *peer) binary(o *op) [][]byte { return p.rows(o, o.rows, p.status(), binaryRow) }

func textRow(o *op, i int) []byte {
	v := value(o.token, i)
	if o.fault == fSlowReader {
		v += ":" + string(filler[:1000])
	}
	return mysqltest.AppendLenEncString(nil, v)
}

func binaryRow(o *op, i int) []byte {
	return mysqltest.AppendLenEncString([]byte{0, 0}, value(o.token, i))
}

var filler = bytes.Repeat([]byte{'x'}, 1100_000)

func (p *peer) rows(o *op, n int, status uint16, row func(o *op, i int) []byte) [][]byte {
	out := make([][]byte, 0, n+4)
	out = append(out, []byte{1}, column)
	if p.classic {
		out = append(out, mysqltest.EOFPayload(0, status))
	}
	for i := range n {
		out = append(out, row(o, i))
	}
	if p.classic {
		return append(out, mysqltest.EOFPayload(0, status))
	}
	return append(out, mysqltest.ResultEndPayload(status, 0))
}

// answer runs a command and sends its answer, or what a fault makes of it. It reports whether the connection goes on.
func (p *peer) answer(o *op, result func(*op) [][]byte) bool {
	f := &faults[o.fault]
	if f.peer == nil || !p.w.first(o) {
		if o.kind == opLoad && !p.load(o) {
			return false
		}
		p.w.execute(p, o)
		if o.kind == opLoad {
			p.send(p.ok(uint64(o.token)))
			return true
		}
		p.answer1 = p.number(result(o)...)
		p.write(flat(p.answer1))
		return true
	}
	return f.peer(p, o, result)
}

// load asks for the file of a LOAD DATA and reads it.
func (p *peer) load(o *op) bool {
	p.at(loading, o)
	name := "simulation"
	if o.fault == fLoadFails {
		name = "simulation-broken"
	}
	p.send([]byte("\xfbReader::" + name))
	for {
		p.read()
		if len(p.in) == 0 {
			return true
		}
	}
}

func (p *peer) sleep(d time.Duration) {
	if d > 0 {
		pass(d)
	}
}
