package proxy

import (
	"bytes"
	"strings"

	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// traceparent is where a client's statements carried the context of its trace:
// in a comment (/*traceparent='00-…'*/) or in a query attribute.
// https://www.w3.org/TR/trace-context/#traceparent-header
type traceparent struct {
	id    [traceLength]byte
	ok    bool
	fresh bool   // in bytes that the conversation has not told of yet
	of    uint64 // the command that carried it, counted from 1

	tail     []byte // of the client's last bytes: one may begin in it
	answered int64  // look's argument for these
}

var traceWord = []byte("traceparent")

const (
	traceLength = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	// traceBehind is how far behind the word its value may end. Of an attribute, it
	// comes behind all names.
	traceBehind = 512
)

// look searches the client's bytes, where they can be read. answered changes whenever the server has said something: what comes
// behind that is another command.
func (t *traceparent) look(p []byte, answered int64) {
	if t.tail != nil {
		tail := t.tail
		t.tail = nil
		if answered == t.answered {
			// It is copied into a new array each time: seldom, and an idle connection keeps nothing of it.
			n := min(len(p), len(traceWord)+traceBehind)
			if t.search(append(tail, p[:n]...)) || n == len(p) {
				t.answered = answered
				return
			}
			t.tail = nil
		}
	}
	t.search(p)
	t.answered = answered
}

// search reports whether there was one. What may be the beginning of one becomes the tail.
func (t *traceparent) search(p []byte) (found bool) {
	i := bytes.Index(p, traceWord)
	if i < 0 {
		if n := wordBegun(p); n > 0 {
			t.tail = bytes.Clone(p[len(p)-n:])
		}
		return false
	}
	rest := p[i+len(traceWord):]
	short := len(rest) < traceBehind
	rest = rest[:min(len(rest), traceBehind)]
	for j := 0; j+traceLength <= len(rest); j++ {
		if isTraceparent(rest[j : j+traceLength]) {
			t.id, t.ok, t.fresh = [traceLength]byte(rest[j:]), true, true
			return true
		}
	}
	if short {
		t.tail = bytes.Clone(p[i:])
	}
	return false
}

// wordBegun is how many bytes at the end of p are the beginning of the word.
func wordBegun(p []byte) int {
	if len(p) == 0 || bytes.IndexByte(traceWord, p[len(p)-1]) < 0 {
		return 0
	}
	for n := min(len(p), len(traceWord)-1); n > 0; n-- {
		if bytes.HasSuffix(p, traceWord[:n]) {
			return n
		}
	}
	return 0
}

// behind is called when the conversation has been told of bytes of the client. A
// command without a context of its own is not of the trace of the one before, unless
// that is unanswered, or it only executes what that has prepared.
func (t *traceparent) behind(talk *conversation.Conversation) {
	if !t.ok {
		return
	}
	switch st := talk.State(); {
	case t.fresh:
		t.fresh, t.of = false, st.Commands
	case st.Commands > t.of && st.Pending <= 1:
		switch st.Command {
		case session.ComStmtExecute, session.ComStmtSendLongData, session.ComStmtFetch, session.ComStmtReset, session.ComStmtClose, session.ComStmtBulkExecute:
		default:
			t.ok = false
		}
	}
}

func isTraceparent(b []byte) bool {
	if b[2] != '-' || b[35] != '-' || b[52] != '-' || b[0] == 'f' && b[1] == 'f' {
		return false
	}
	for i, c := range b {
		if i == 2 || i == 35 || i == 52 {
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

type traceIDs struct {
	trace, span string
	sampled     bool // the client's tracer records it
}

func (t *traceparent) value() traceIDs {
	if !t.ok {
		return traceIDs{}
	}
	const odd = "13579bdf" // the last digit of the flags, if their last bit is set
	return traceIDs{string(t.id[3:35]), string(t.id[36:52]), strings.IndexByte(odd, t.id[54]) >= 0}
}
