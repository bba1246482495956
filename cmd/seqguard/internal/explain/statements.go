package explain

import (
	"strconv"
	"strings"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// statements reads the texts of commands out of a client's bytes, where they are
// neither encrypted nor compressed.
type statements struct {
	head  []byte // of the packet under way, header included
	skip  int
	list  []string
	stop  bool
	first bool // a packet of the login has been seen
}

const (
	maxStatement  = 300
	maxStatements = 128
)

func (s *statements) bytes(d session.Direction, p []byte) {
	if d != session.FromClient || s.stop {
		return
	}
	for len(p) > 0 {
		if s.skip > 0 {
			n := min(s.skip, len(p))
			s.skip -= n
			p = p[n:]
			continue
		}
		want := 4
		if len(s.head) >= 4 {
			want += min(s.length(), maxStatement)
		}
		n := min(want-len(s.head), len(p))
		s.head = append(s.head, p[:n]...)
		p = p[n:]
		if len(s.head) < want || want == 4 && s.length() > 0 {
			continue
		}
		s.packet()
	}
}

func (s *statements) length() int {
	return int(s.head[0]) | int(s.head[1])<<8 | int(s.head[2])<<16
}

func (s *statements) packet() {
	n := s.length()
	s.skip = n - (len(s.head) - 4)
	b := s.head[4:]
	switch {
	case s.head[3] != 0: // the login and what continues something
		// An SSLRequest: from here on it is TLS.
		s.stop = !s.first && n == 32 && len(b) >= 2 && b[1]&0x08 != 0
		s.first = true
	case len(b) > 0 && (session.Command(b[0]) == session.ComQuery || session.Command(b[0]) == session.ComStmtPrepare):
		if len(s.list) < maxStatements {
			t := string(b[1:])
			if n > len(b) {
				t += "…"
			}
			s.list = append(s.list, printable(t))
		}
	}
	s.head = s.head[:0]
}

// printable makes a text fit for a line.
func printable(t string) string {
	q := strconv.Quote(strings.TrimLeft(t, "\x00\x01"))
	return q[1 : len(q)-1]
}

// next returns the text of the next command that has one.
func (s *statements) next(c session.Command) string {
	if c != session.ComQuery && c != session.ComStmtPrepare || len(s.list) == 0 {
		return ""
	}
	t := s.list[0]
	s.list = s.list[1:]
	return t
}
