package proxy

import (
	"net"
	"os"
	"syscall"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// link is a connection that a loop relays, as relay does it elsewhere. All but close is for the loop.
type link struct {
	conn           *conn
	loop           *loop
	client, server socket
	done           bool
}

// socket is one end of a link, and what is read from it.
type socket struct {
	link  *link
	other *socket
	fd    int
	from  session.Direction // of what it sends
	armed uint32            // what the epoll is to tell; 0: nothing, not even that the peer is gone
	over  bool              // nothing more is read from it
	cut   bool              // writing to it has failed
	out   []byte            // what it has not taken yet: nothing is read for it meanwhile
	held  *[bufferSize]byte // where that lies
}

// relay has a loop relay the connection, if both of its ends are plain sockets. The loop calls s.over.
func (ls *loops) relay(s *conn) bool {
	client, ok := duplicate(s.client.Conn)
	if !ok {
		return false
	}
	server, ok := duplicate(s.server.Conn)
	if !ok {
		_ = syscall.Close(client)
		return false
	}
	l := ls.get()
	if l == nil {
		_, _ = syscall.Close(client), syscall.Close(server)
		return false
	}
	k := &link{conn: s, loop: l}
	k.client = socket{link: k, other: &k.server, fd: client, from: session.FromClient}
	k.server = socket{link: k, other: &k.client, fd: server, from: session.FromServer}
	s.mu.Lock()
	s.link = k
	s.mu.Unlock()
	// The runtime's own poller would be woken by every byte as long as they are open.
	_, _ = s.client.Close(), s.server.Close()
	l.do(k.start)
	return true
}

// duplicate returns a descriptor of c's socket that the runtime does not know.
func duplicate(c net.Conn) (fd int, ok bool) {
	var sc syscall.Conn
	switch c := c.(type) {
	case *net.TCPConn:
		sc = c
	case *net.UnixConn:
		sc = c
	default:
		return 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(own uintptr) {
		n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, own, syscall.F_DUPFD_CLOEXEC, 0)
		fd, ok = int(n), errno == 0
	})
	return fd, ok && err == nil
}

func (k *link) start() {
	if k.done { // close came first
		return
	}
	k.loop.sockets[int32(k.client.fd)] = &k.client
	k.loop.sockets[int32(k.server.fd)] = &k.server
	if k.conn.closed.Load() {
		k.finish(nil)
		return
	}
	k.client.arm()
	k.server.arm()
}

// close ends the connection from this side. It may be called from anywhere.
func (k *link) close() { k.loop.do(func() { k.finish(nil) }) }

// finish closes both ends, one of them with a reset if it is given.
func (k *link) finish(reset *socket) {
	if k.done {
		return
	}
	k.done = true
	for _, s := range [...]*socket{&k.client, &k.server} {
		delete(k.loop.sockets, int32(s.fd))
		s.free()
		if s == reset {
			_ = syscall.SetsockoptLinger(s.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
		}
		_ = syscall.Close(s.fd) // the epoll forgets it with that
	}
	k.loop.of.put(k.loop)
	k.conn.over()
}

// ready takes what the epoll has told.
func (s *socket) ready(events uint32) {
	const gone = syscall.EPOLLHUP | syscall.EPOLLERR
	if len(s.out) > 0 && events&(syscall.EPOLLOUT|gone) != 0 {
		s.flush()
	}
	if events&(syscall.EPOLLIN|gone) != 0 && s.reads() {
		s.pass()
	}
}

// reads reports whether bytes of s may be read now.
func (s *socket) reads() bool { return !s.over && len(s.other.out) == 0 && !s.link.done }

// turns is how many full buffers one connection may pass before it is another one's turn.
const turns = 16

// pass passes on what s has sent.
func (s *socket) pass() {
	for range turns {
		buf := s.link.loop.buf
		n, err := syscall.Read(s.fd, buf[:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return
		case err != nil:
			s.broke(err)
			return
		case n == 0 && s.cut: // the kernel tells of a reset once
			s.broke(syscall.ECONNRESET)
			return
		case n == 0:
			s.ended()
			return
		}
		if !s.link.conn.bytes(s.from, buf[:n]) {
			return // the link is about to be finished
		}
		if !s.other.write(buf[:n]) || n < len(buf) {
			return
		}
	}
}

// write reports whether s has taken p, which lies in the loop's buffer.
func (s *socket) write(p []byte) bool {
	rest, err := s.send(p)
	switch {
	case err != nil:
		s.refused(len(rest), err)
		return false
	case len(rest) > 0:
		l := s.link.loop
		s.out, s.held, l.buf = rest, l.buf, buffers.Get().(*[bufferSize]byte)
		s.arm()
		s.other.arm()
		return false
	}
	s.link.conn.passed(s.other.from)
	return true
}

// flush writes what s had not taken.
func (s *socket) flush() {
	rest, err := s.send(s.out)
	if err == nil && len(rest) > 0 {
		s.out = rest
		return
	}
	s.free()
	if err != nil {
		s.refused(len(rest), err)
		return
	}
	s.link.conn.passed(s.other.from)
	s.arm()
	s.other.arm()
}

// send returns what s does not take now.
func (s *socket) send(p []byte) (rest []byte, err error) {
	for len(p) > 0 {
		n, err := syscall.Write(s.fd, p)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return p, nil
		case err != nil:
			return p, err
		default:
			p = p[n:]
		}
	}
	return nil, nil
}

func (s *socket) free() {
	if s.held != nil {
		buffers.Put(s.held)
		s.out, s.held = nil, nil
	}
}

// arm tells the epoll what s waits for now.
func (s *socket) arm() {
	if s.link.done {
		return
	}
	e := syscall.EpollEvent{Fd: int32(s.fd)}
	if s.reads() {
		e.Events |= syscall.EPOLLIN
	}
	if len(s.out) > 0 {
		e.Events |= syscall.EPOLLOUT
	}
	op := syscall.EPOLL_CTL_MOD
	switch {
	case e.Events == s.armed:
		return
	case s.armed == 0:
		op = syscall.EPOLL_CTL_ADD
	case e.Events == 0:
		op = syscall.EPOLL_CTL_DEL // an end would be told again and again otherwise
	}
	if err := syscall.EpollCtl(s.link.loop.poll, op, s.fd, &e); err != nil {
		s.link.conn.p.log("#%d: the connection is closed: %v", s.link.conn.number, os.NewSyscallError("epoll_ctl", err))
		s.link.finish(nil)
		return
	}
	s.armed = e.Events
}

// What follows passes ends on, as pump does.

// ended: s has sent its last byte.
func (s *socket) ended() {
	k, o := s.link, s.other
	s.over = true
	k.conn.ended(s.from, nil)
	switch err := syscall.Shutdown(o.fd, syscall.SHUT_WR); {
	case o.over:
		k.finish(nil)
	case err != nil:
		o.lost(0)
		k.finish(s)
	default:
		s.arm()
	}
}

// broke: s cannot be read.
func (s *socket) broke(err error) {
	s.over = true
	s.link.conn.ended(s.from, err)
	s.other.lost(len(s.out))
	s.link.finish(s.other)
}

// lost ends what comes from s because it is about to be closed: unsent bytes of it have not been taken.
func (s *socket) lost(unsent int) {
	switch {
	case s.over:
	case unsent > 0:
		s.link.conn.failed(s.from, unsent, net.ErrClosed)
	default:
		s.link.conn.ended(s.from, net.ErrClosed)
	}
	s.over = true
}

// refused: s cannot be written, and has not taken unsent bytes.
func (s *socket) refused(unsent int, err error) {
	k, from := s.link, s.other
	s.cut = true
	c := k.conn.client.Conn
	if s == &k.server {
		c = k.conn.server.Conn
	}
	local, peer := c.LocalAddr(), c.RemoteAddr()
	k.conn.failed(from.from, unsent, &net.OpError{
		Op: "write", Net: local.Network(), Source: local, Addr: peer, Err: os.NewSyscallError("write", err),
	})
	from.over = true
	if s.over { // it has nothing left to say either
		k.finish(from)
		return
	}
	from.arm()
	s.arm()
}
