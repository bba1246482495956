package debug_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// loadConns is how many connections are busy while the page is asked for.
const loadConns = 200

// The page may be asked for while all connections work: it is whole, it comes
// soon, and the load does not notice.
func TestUnderLoad(t *testing.T) {
	const address = "load-db:3306"
	before := wrapconn.Stats()
	done, stop := load(t, open(t, serve(t, "8.4.7"), address, loadConns), loadConns, 50*time.Millisecond)
	defer stop()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 4 {
				var v struct {
					Connections []struct {
						Phase   string
						State   string
						Packets []struct{ Kind string }
					}
				}
				if err := json.Unmarshal(get(t, of(address), "application/json").Body.Bytes(), &v); err != nil {
					t.Error(err)
				}
				if len(v.Connections) != loadConns {
					t.Errorf("%d connections", len(v.Connections))
				}
				for i, c := range v.Connections {
					if c.Phase == "" || c.State == "" || len(c.Packets) == 0 {
						t.Errorf("connection %d: %+v", i, c)
					}
				}
				begin := time.Now()
				page := get(t, of(address), "").Body.String()
				// Generous: what else the machine does is not known. The benchmark measures.
				if d := time.Since(begin); d > 5*time.Second {
					t.Errorf("the page took %v", d)
				}
				if n := listed(page); n != loadConns || !strings.HasSuffix(page, "</html>\n") {
					t.Errorf("%d connections on the page", n)
				}
			}
		})
	}
	wg.Wait()
	n := done.Load()
	runtime.Gosched()
	kit.Eventually(t, func() bool { return done.Load() != n }, "the load stands still")
	stop()
	if after := wrapconn.Stats(); after.Reports != before.Reports || after.Panics != before.Panics || after.Untracked != before.Untracked {
		t.Errorf("the load did not stay sound: %+v, before %+v", after, before)
	}
}
