package mysqltest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Direction says who sent something.
type Direction int

// The two directions.
const (
	FromClient Direction = iota
	FromServer
)

func (d Direction) String() string { return [...]string{"client to server", "server to client"}[d] }

// RelayPacket is one that passes through a relay: Bytes with its header. Once TLS or compression has begun the relay cannot
// see packets any more: Raw is set, and Bytes is what came in one read.
type RelayPacket struct {
	Conn   int // number of the connection, from 0
	From   Direction
	Index  int   // number of the packet in its direction, from 0: the greeting, the login, ...
	Offset int64 // bytes of this direction before this packet
	Bytes  []byte
	Raw    bool
}

// Seq is the sequence id, if not Raw.
func (p RelayPacket) Seq() byte { return p.Bytes[3] }

// Payload is what comes after the header, if not Raw.
func (p RelayPacket) Payload() []byte { return p.Bytes[4:] }

// Action is what happens to a packet; the zero value lets it pass. The parts apply in this order.
type Action struct {
	Hold   time.Duration   // wait this long first: this packet, and so all behind it
	Until  <-chan struct{} // wait for this to be closed
	Reply  []byte          // send this back to the sender
	Before []byte          // send this on first
	Drop   bool            // do not send the packet on
	Renum  bool            // send it on with the sequence id Seq
	Seq    byte
	Copies int    // send it on so many more times
	After  []byte // then send this on
	End    End    // then end the connection, after Keep bytes of the packet
	Keep   int    // (with End: -1 is the whole packet)
}

// End is a way to end a connection.
type End int

// Ways to end a connection.
const (
	GoOn      End = iota
	Cut           // close both sides: FIN
	ResetBoth     // RST to both sides
	HalfClose     // FIN in the packet's direction only; nothing more is sent that way
)

// Rule decides about a packet. Rules are asked in order, the first action that is not the zero value counts. A rule is called
// for both directions and from several connections at once.
type Rule func(RelayPacket) Action

// OnPacket is a rule about one packet of every connection.
func OnPacket(from Direction, index int, a Action) Rule {
	return func(p RelayPacket) Action {
		if p.From == from && p.Index == index && !p.Raw {
			return a
		}
		return Action{}
	}
}

// Once is a rule about the first packet for which match holds.
func Once(match func(RelayPacket) bool, a Action) Rule {
	var done atomic.Bool
	return func(p RelayPacket) Action {
		if match(p) && done.CompareAndSwap(false, true) {
			return a
		}
		return Action{}
	}
}

// AtByte ends the connection after n bytes of a direction, wherever in a packet that is.
func AtByte(from Direction, n int64, end End) Rule {
	return func(p RelayPacket) Action {
		if p.From == from && p.Offset+int64(len(p.Bytes)) >= n {
			return Action{End: end, Keep: int(max(0, n-p.Offset))}
		}
		return Action{}
	}
}

// Relay stands between clients and a server.
type Relay struct {
	Addr string // host:port for clients

	backend  string
	rules    []Rule
	listener net.Listener
	stop     chan struct{}
	running  sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
}

// NewRelay starts a relay to the server at backend (host:port) that ends with the test.
func NewRelay(t testing.TB, backend string, rules ...Rule) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("mysqltest: %v", err)
	}
	r := &Relay{Addr: l.Addr().String(), backend: backend, rules: rules, listener: l,
		stop: make(chan struct{}), conns: map[net.Conn]bool{}}
	r.running.Add(1)
	go r.accept()
	t.Cleanup(func() {
		close(r.stop)
		l.Close()
		r.mu.Lock()
		for c := range r.conns {
			c.Close()
		}
		r.mu.Unlock()
		r.running.Wait()
	})
	return r
}

// DSN leads through the relay, as gotest/secret to the database gotest.
func (r *Relay) DSN(params string) string {
	return dsn("gotest:secret", "tcp", r.Addr, "gotest", params)
}

func (r *Relay) accept() {
	defer r.running.Done()
	for n := 0; ; n++ {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.DialTimeout("tcp", r.backend, ioTimeout)
		if err != nil {
			client.Close() // as a proxy does whose server is away
			continue
		}
		if !r.keep(client) || !r.keep(server) {
			client.Close()
			server.Close()
			return
		}
		p := &pipe{relay: r, number: n, client: client.(*net.TCPConn), server: server.(*net.TCPConn)}
		r.running.Add(1)
		go func() {
			defer r.running.Done()
			p.run()
			r.forget(client)
			r.forget(server)
		}()
	}
}

func (r *Relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.stop:
		return false
	default:
		r.conns[c] = true
		return true
	}
}

func (r *Relay) forget(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	c.Close()
}

// pipe is one connection through the relay.
type pipe struct {
	relay          *Relay
	number         int
	client, server *net.TCPConn
	raw            atomic.Bool // TLS or compression has begun: no more packets to see
	compress       atomic.Bool // it will begin after the login's OK
	writes         [2]sync.Mutex
}

var errEnded = errors.New("ended by a rule")

func (p *pipe) run() {
	var both sync.WaitGroup
	for _, from := range []Direction{FromClient, FromServer} {
		both.Go(func() {
			if err := p.pump(from); errors.Is(err, errEnded) {
				return
			}
			p.conn(1 - from).CloseWrite() // the sender's FIN goes on
		})
	}
	both.Wait()
}

// conn is the side that sends in a direction.
func (p *pipe) conn(d Direction) *net.TCPConn {
	if d == FromClient {
		return p.client
	}
	return p.server
}

// pump moves one direction until its end.
func (p *pipe) pump(from Direction) error {
	in := p.conn(from)
	packet := RelayPacket{Conn: p.number, From: from}
	for {
		var err error
		if packet.Bytes, packet.Raw, err = p.read(in); err != nil {
			// What is left of half a packet goes on, so that the other side sees the same.
			p.write(1-from, packet.Bytes)
			return err
		}
		if !packet.Raw {
			p.watch(packet)
		}
		if err := p.apply(packet); err != nil {
			return err
		}
		packet.Index++
		packet.Offset += int64(len(packet.Bytes))
	}
}

// watch learns when packets are to be seen no more. The other side says nothing before it has read the packet that decides it, so
// the other direction learns of it in time.
func (p *pipe) watch(packet RelayPacket) {
	switch b := packet.Payload(); {
	case packet.From == FromClient && packet.Index == 0 && len(b) >= 32:
		capabilities := binary.LittleEndian.Uint32(b)
		// An SSLRequest is a login cut off after its 32nd byte. MySQL manual, "Protocol::SSLRequest".
		p.raw.Store(len(b) == 32 && capabilities&CapSSL != 0)
		// Clients of today ask only for what the server has offered.
		p.compress.Store(capabilities&CapCompress != 0)
	case packet.From == FromServer && p.compress.Load() && len(b) > 0 && b[0] == 0:
		p.raw.Store(true) // MySQL manual, "Compression": from the packet after the login's OK on
	}
}

// read reads a packet, or after the start of TLS or compression what there is.
func (p *pipe) read(in net.Conn) (b []byte, raw bool, err error) {
	b = make([]byte, 4, 4096)
	if p.raw.Load() {
		b = b[:cap(b)]
		n, err := in.Read(b)
		return b[:n], true, err
	}
	n, err := io.ReadFull(in, b)
	if err != nil {
		return b[:n], true, err
	}
	if p.raw.Load() { // it began while this direction was waiting
		return b, true, nil
	}
	length := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
	b = append(b, make([]byte, length)...)
	n, err = io.ReadFull(in, b[4:])
	return b[:4+n], false, err
}

func (p *pipe) apply(packet RelayPacket) error {
	var a Action
	for _, rule := range p.relay.rules {
		if a = rule(packet); !a.zero() {
			break
		}
	}
	if err := p.wait(a); err != nil {
		return err
	}
	to, b := 1-packet.From, packet.Bytes
	if a.Reply != nil {
		p.write(packet.From, a.Reply)
	}
	if a.Renum && !packet.Raw {
		b = append([]byte(nil), b...)
		b[3] = a.Seq
	}
	if a.End != GoOn && a.Keep >= 0 {
		b = b[:min(a.Keep, len(b))]
	}
	out := append([]byte(nil), a.Before...)
	if !a.Drop {
		for range 1 + a.Copies {
			out = append(out, b...)
		}
	}
	if err := p.write(to, append(out, a.After...)); err != nil {
		return err
	}
	switch a.End {
	case Cut:
		p.client.Close()
		p.server.Close()
		return errEnded
	case ResetBoth:
		for _, c := range []*net.TCPConn{p.client, p.server} {
			c.SetLinger(0)
			c.Close()
		}
		return errEnded
	case HalfClose:
		p.conn(to).CloseWrite()
		io.Copy(io.Discard, p.conn(packet.From)) // until the sender closes too
		return errEnded
	}
	return nil
}

func (a Action) zero() bool {
	return a.Hold == 0 && a.Until == nil && a.Reply == nil && a.Before == nil && !a.Drop && !a.Renum && a.Copies == 0 &&
		a.After == nil && a.End == GoOn
}

func (p *pipe) wait(a Action) error {
	if a.Hold > 0 {
		select {
		case <-time.After(a.Hold):
		case <-p.relay.stop:
			return errEnded
		}
	}
	if a.Until != nil {
		select {
		case <-a.Until:
		case <-p.relay.stop:
			return errEnded
		}
	}
	return nil
}

// write sends to the side that sends in direction d. Both pumps may write to one side (Action.Reply): not in the middle of a packet.
func (p *pipe) write(d Direction, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	p.writes[d].Lock()
	defer p.writes[d].Unlock()
	c := p.conn(d)
	c.SetWriteDeadline(time.Now().Add(ioTimeout))
	_, err := c.Write(b)
	return err
}
