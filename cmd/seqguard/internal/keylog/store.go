// Package keylog keeps the secrets of TLS connections as programs write them into
// the file that SSLKEYLOGFILE names.
// https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-05.html
package keylog

import (
	"bytes"
	"encoding/hex"
	"sync"
)

// Random is the number by which a key log names a connection.
type Random [32]byte

const (
	maxLine    = 512     // the longest line that means something has 250
	maxSecrets = 1 << 17 // connections; the oldest are forgotten
	perRandom  = 4 << 10 // bytes of lines of one connection
)

// Store knows the lines of each connection. It may be used by several goroutines.
type Store struct {
	mu    sync.Mutex
	lines map[Random][]byte
	order []Random // oldest first, from next on
	next  int
	part  []byte // of a line
	long  bool   // the line under way is too long to mean anything
	total int
}

// Add takes the next bytes of a key log, in any pieces, and returns whose lines are new.
func (s *Store) Add(b []byte) []Random {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fresh []Random
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			if s.long = s.long || len(s.part)+len(b) > maxLine; s.long {
				s.part = nil
			} else {
				s.part = append(s.part, b...)
			}
			break
		}
		line := b[:i]
		if len(s.part) > 0 {
			line = append(s.part, line...)
		}
		if !s.long && len(line) <= maxLine {
			if r, ok := s.line(line); ok && (len(fresh) == 0 || fresh[len(fresh)-1] != r) {
				fresh = append(fresh, r)
			}
		}
		s.part, s.long = nil, false
		b = b[i+1:]
	}
	return fresh
}

func (s *Store) line(line []byte) (r Random, ok bool) {
	line = bytes.TrimSuffix(line, []byte("\r"))
	_, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(rest) < 2*len(r)+1 || rest[2*len(r)] != ' ' {
		return r, false
	}
	if _, err := hex.Decode(r[:], rest[:2*len(r)]); err != nil {
		return r, false
	}
	if s.lines == nil {
		s.lines = map[Random][]byte{}
	}
	old, known := s.lines[r]
	if len(old)+len(line) > perRandom {
		return r, false
	}
	if !known {
		s.order = append(s.order, r)
		if len(s.order)-s.next > maxSecrets {
			delete(s.lines, s.order[s.next])
			s.next++
			if s.next > maxSecrets {
				s.order = append([]Random(nil), s.order[s.next:]...)
				s.next = 0
			}
		}
	}
	s.lines[r] = append(append(old, line...), '\n')
	s.total++
	return r, true
}

// Lines returns the lines of a connection, nil if there are none.
func (s *Store) Lines(r Random) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.lines[r])
}

// Len returns how many lines were understood.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
