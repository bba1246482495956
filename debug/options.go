package debug

import (
	"database/sql"
	"strings"
)

// Option configures Handler.
type Option func(*handler)

// WithDB adds the numbers of a pool (sql.DBStats: open, in use, idle, limit, callers
// that had to wait) under a name of your choice. It uses no connection. The handler
// keeps the pool in memory. Use it once for each pool.
func WithDB(name string, db *sql.DB) Option {
	return func(h *handler) { h.pools = append(h.pools, &watched{name: name, db: db}) }
}

// WithTraceURL turns trace ids into links: {trace_id} and {span_id} in the template
// are replaced, as in
//
//	debug.WithTraceURL("http://jaeger:16686/trace/{trace_id}?uiFind={span_id}")
//
// A trace that was not sampled is shown without a link.
func WithTraceURL(template string) Option {
	return func(h *handler) { h.traceURL = template }
}

// traceLink is the address of a span, "" if there is no template.
func (h *handler) traceLink(traceID, spanID string) string {
	return strings.NewReplacer("{trace_id}", traceID, "{span_id}", spanID).Replace(h.traceURL)
}
