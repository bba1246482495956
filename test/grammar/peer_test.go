// Package grammar_test holds the guard's grammar of the protocol against
// go-sql-driver's own: the same bytes of a server go to the driver alone and to
// the driver behind a guarded connection, and either both find fault with them
// or neither does. The exceptions are in a table, each with its reason.
package grammar_test

import (
	"io"
	"net"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// peer is a server in memory, without a clock and without a goroutine: after
// each word of the client, the next segment of what it has to say can be read.
// When there is none, a Read is at the end of the stream, so a client that waits
// for more than is due is seen by its error and not by a timeout.
type peer struct {
	segments [][]packet
	rest     []byte
	asked    bool // the client has written since the last segment
	starved  bool // a Read met the end
	shut     bool

	witness    *witness
	compressed bool
	outer      byte // number of the client's last compressed frame
}

// packet is one packet of the server, as it will be sent.
type packet struct {
	seq     byte
	payload []byte
	// length is what the header says, if it is not the payload's length.
	length int
	lies   bool
}

func (p packet) bytes() []byte {
	b := mysqltest.Packet(p.seq, p.payload)
	if p.lies {
		b[0], b[1], b[2] = byte(p.length), byte(p.length>>8), byte(p.length>>16)
	}
	return b
}

func stream(packets []packet) (b []byte) {
	for _, p := range packets {
		b = append(b, p.bytes()...)
	}
	return b
}

func (p *peer) Read(b []byte) (int, error) {
	if p.shut {
		return 0, net.ErrClosed
	}
	for len(p.rest) == 0 {
		if !p.asked || len(p.segments) == 0 {
			p.starved = true
			return 0, io.EOF
		}
		b := stream(p.segments[0])
		p.witness.feed(session.FromServer, b)
		p.rest, p.segments, p.asked = p.frame(b), p.segments[1:], false
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// frame puts a segment into a compressed frame that is stored, not deflated.
func (p *peer) frame(b []byte) []byte {
	if !p.compressed || len(b) == 0 {
		return b
	}
	return append([]byte{byte(len(b)), byte(len(b) >> 8), byte(len(b) >> 16), p.outer + 1, 0, 0, 0}, b...)
}

func (p *peer) Write(b []byte) (int, error) {
	if p.shut {
		return 0, net.ErrClosed
	}
	inner := b
	if p.compressed { // short packets of the client are not deflated
		p.outer, inner = b[3], b[7:]
	}
	p.witness.feed(session.FromClient, inner)
	p.asked = true
	return len(b), nil
}

func (p *peer) Close() error                     { p.shut = true; return nil }
func (p *peer) LocalAddr() net.Addr              { return address{} }
func (p *peer) RemoteAddr() net.Addr             { return address{} }
func (p *peer) SetDeadline(time.Time) error      { return nil }
func (p *peer) SetReadDeadline(time.Time) error  { return nil }
func (p *peer) SetWriteDeadline(time.Time) error { return nil }

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "peer" }
