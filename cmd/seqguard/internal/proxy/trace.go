package proxy

import "bytes"

// traceparent is where a client's statements carried the context of its trace:
// in a comment (/*traceparent='00-…'*/) or in a query attribute.
// https://www.w3.org/TR/trace-context/#traceparent-header
type traceparent struct {
	id [55]byte
	ok bool
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
			t.id, t.ok = [55]byte(rest[j:]), true
			return
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
