package wrapconn

import "sync/atomic"

// TraceRef names the span of a report.
type TraceRef struct {
	TraceID, SpanID string // in hexadecimal, as in a traceparent header; "" if there is none
	Sampled         bool   // it is likely to be found at the backend
}

// traced is shared by all copies of a report: the span is made after the one that
// is kept for the live page.
type traced struct {
	ref   atomic.Pointer[TraceRef]
	alike *atomic.Pointer[TraceRef] // of the last of those that are told as one; set before the report is delivered
}

// SetTrace records the span of the report. It is for code that makes one, such as
// package trace.
func (r *Report) SetTrace(t TraceRef) {
	if r.traced != nil {
		r.traced.ref.Store(&t)
		if r.traced.alike != nil {
			r.traced.alike.Store(&t)
		}
	}
}

// Trace returns what SetTrace has recorded, on any copy of the report.
func (r *Report) Trace() (t TraceRef) {
	if r.traced != nil {
		if p := r.traced.ref.Load(); p != nil {
			t = *p
		}
	}
	return t
}
