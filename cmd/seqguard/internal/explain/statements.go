package explain

import (
	"strconv"
	"strings"

	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// statements reads the texts of commands out of a client's bytes, where they are
// neither encrypted nor compressed.
type statements struct {
	head  []byte // of the packet under way, header included
	skip  int
	list  []statement
	stop  bool
	first bool // a packet of the login has been seen
	lost  bool // it is not known where a packet begins
}

// statement is a command that has a text.
type statement struct {
	text   string
	length int // of its packet
}

const (
	maxStatement  = 300
	maxStatements = 128
)

func (s *statements) bytes(d session.Direction, p []byte) {
	if d != session.FromClient || s.stop {
		return
	}
	if s.lost {
		if !commands(p) {
			return
		}
		s.lost = false
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

// gap is told that bytes are missing, or the beginning.
func (s *statements) gap() { *s = statements{stop: s.stop, first: true, lost: true} }

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
			s.list = append(s.list, statement{printable(t), n})
		}
	}
	s.head = s.head[:0]
}

// printable makes a text fit for a line.
func printable(t string) string {
	q := strconv.Quote(strings.TrimLeft(t, "\x00\x01"))
	return q[1 : len(q)-1]
}

// next returns the text of a command that has one. The list may have more than the
// packets that are listed: behind a gap commands are passed over.
func (s *statements) next(p *conversation.Packet) string {
	if p.Command != session.ComQuery && p.Command != session.ComStmtPrepare {
		return ""
	}
	for i := range s.list {
		if s.list[i].length == p.Bytes {
			t := s.list[i].text
			s.list = s.list[i+1:]
			return t
		}
	}
	return ""
}
