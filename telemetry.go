package seqguard

import (
	"context"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// newReporter returns what is done with a report.
func newReporter(o *config) func(context.Context, *wrapconn.Report) {
	fn := o.onReport
	return func(ctx context.Context, r *wrapconn.Report) {
		if fn != nil {
			fn(ctx, r)
		}
	}
}
