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
	var least [2]time.Duration
	for i := range least {
		least[i] = time.Hour
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
				for n, c := range v.Connections {
					if c.Phase == "" || c.State == "" || len(c.Packets) == 0 {
						t.Errorf("connection %d: %+v", n, c)
					}
				}
				begin := time.Now()
				page := get(t, of(address), "").Body.String()
				least[i] = min(least[i], time.Since(begin))
				if n := listed(page); n != loadConns || !strings.HasSuffix(page, "</html>\n") {
					t.Errorf("%d connections on the page", n)
				}
			}
		})
	}
	wg.Wait()
	// Generous: what else the machine does is not known. The benchmark measures.
	if d := min(least[0], least[1]); d > 5*time.Second {
		t.Errorf("each page took %v or more", d)
	}
	n := done.Load()
	runtime.Gosched()
	kit.Eventually(t, func() bool { return done.Load() != n }, "the load stands still")
	stop()
	if after := wrapconn.Stats(); after.Reports != before.Reports || after.Panics != before.Panics || after.Untracked != before.Untracked {
		t.Errorf("the load did not stay sound: %+v, before %+v", after, before)
	}
}
