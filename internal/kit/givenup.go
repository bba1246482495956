package kit

import (
	"context"
	"errors"
	"slices"
	"time"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// On a machine that is very busy, or that stands still for a moment, a login takes more than a second, and a context that was to end after some
// milliseconds ends in its course. That is what happened, and the guard reports it: nobody else would learn that logins take so long.

// ownEnds are the causes of which that can be true.
var ownEnds = []cause.Slug{"no_greeting", "tls_failed", "login_stalled_locally", "login_unanswered", "read_too_late"}

// LoginGivenUp reports whether a report tells of a login that was given up because a context of this side's ran out that was no longer than short: the
// operation that began at began made the connection, its context's deadline was the end of the login, and nothing else ended it. A
// login that does not end within a long context is none of these.
func LoginGivenUp(r *seqguard.Report, began, deadline time.Time, short time.Duration) bool {
	e := &r.Evidence
	return slices.Contains(ownEnds, r.Cause.Slug) &&
		errors.Is(r.Err, context.DeadlineExceeded) && e.Stream == cause.StreamTimeout && e.ServerError == nil && e.Phase.Connecting() &&
		r.Owner != nil && r.Owner.Kind == wrapconn.OpConnect && !r.Owner.Started.Before(began) && !r.Connected.Before(began) &&
		r.Time.Sub(r.Connected) > time.Second && !r.Time.Before(deadline) && deadline.Sub(began) <= short
}
