package wrapconn

import (
	"sync"
	"testing"
	"time"
)

// Who looks at the owner, for a report or the live view, locks it for a moment.
// Whoever wants to leave at that moment must still get out: he would hold the
// connection for ever.
func TestOwnerLeavesWhileWatched(t *testing.T) {
	var o owner
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					o.copy()
				}
			}
		})
	}
	defer wg.Wait()
	defer close(done)
	ctx := t.Context()
	for begin := time.Now(); time.Since(begin) < time.Second; {
		for _, lease := range []bool{false, true} {
			if conflict, _ := o.begin(OpQuery, ctx, 1, false); conflict != NoConflict {
				t.Fatalf("the operation before did not get out: %s", conflict)
			}
			o.end(lease)
			if !lease {
				continue
			}
			if conflict, _ := o.beginInside(); conflict != NoConflict {
				t.Fatalf("the holder of the lease is kept out: %s", conflict)
			}
			o.endInside(false)
			o.drop()
		}
		o.forget()
	}
}
