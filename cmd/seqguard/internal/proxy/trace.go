package proxy

import (
	"bytes"

	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// traceparent is where a client's statements carried the context of its trace:
// in a comment (/*traceparent='00-…'*/) or in a query attribute.
// https://www.w3.org/TR/trace-context/#traceparent-header
type traceparent struct {
	id    [55]byte
	ok    bool
	fresh bool   // in bytes that the conversation has not told of yet
	of    uint64 // the command that carried it, counted from 1
}

var traceWord = []byte("traceparent")

// look searches the client's bytes, where they can be read.
func (t *traceparent) look(p []byte) {
	i := bytes.Index(p, traceWord)
	if i < 0 {
		return
	}
	// Of an attribute, the value comes behind all names.
	rest := p[i+len(traceWord):]
	rest = rest[:min(len(rest), 512)]
	for j := 0; j+55 <= len(rest); j++ {
		if isTraceparent(rest[j : j+55]) {
			t.id, t.ok, t.fresh = [55]byte(rest[j:]), true, true
			return
		}
	}
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

type traceIDs struct{ trace, span string }

func (t *traceparent) value() traceIDs {
	if !t.ok {
		return traceIDs{}
	}
	return traceIDs{string(t.id[3:35]), string(t.id[36:52])}
}
