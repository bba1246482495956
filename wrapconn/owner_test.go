package wrapconn_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// ownerModel is what an owner is to do, said in another way.
type ownerModel struct {
	holder wrapconn.OpKind // of the operation or of the lease; OpNone: free
	lease  bool
	inside bool // the holder of the lease is in
}

func (m *ownerModel) conflict() wrapconn.Conflict {
	switch {
	case m.holder == wrapconn.OpNone:
		return wrapconn.NoConflict
	case m.lease && !m.inside:
		return wrapconn.Interleaving
	}
	return wrapconn.Overlap
}

// TestOwnerModel holds the owner to its model through random sequences of all that can be done with it.
func TestOwnerModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		var reports []*wrapconn.Report
		mode := rapid.SampledFrom([]wrapconn.Mode{wrapconn.Enforce, wrapconn.Observe}).Draw(t, "mode")
		c := wrapconn.New(a, wrapconn.Options{Mode: mode, CallSites: true, Operations: true,
			OnReport: func(_ context.Context, r *wrapconn.Report) { reports = append(reports, r) }})
		var m ownerModel
		refused := 0
		kinds := rapid.SampledFrom([]wrapconn.OpKind{wrapconn.OpExec, wrapconn.OpQuery, wrapconn.OpPing, wrapconn.OpReset})
		expect := func(t *rapid.T, kind wrapconn.OpKind, taken bool, err error, want wrapconn.Conflict) {
			if taken != (want == wrapconn.NoConflict) {
				t.Fatalf("%v: taken %t, want %v", m, taken, want)
			}
			if want == wrapconn.NoConflict {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			refused++
			var oe *wrapconn.OwnershipError
			if errors.As(err, &oe) != (mode == wrapconn.Enforce) {
				t.Fatalf("mode %s: %v", mode, err)
			}
			r := reports[len(reports)-1]
			if r.Conflict != want || r.Intruder.Kind != kind || (r.Owner == nil) != (m.holder == wrapconn.OpNone) || r.Owner != nil && r.Owner.Kind != m.holder {
				t.Fatalf("%+v, wanted by %s: %s of %s by %s", m, kind, r.Conflict, r.Owner, r.Intruder)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(t *rapid.T) {
				kind := kinds.Draw(t, "kind")
				taken, err := c.Begin(context.Background(), kind)
				expect(t, kind, taken, err, m.conflict())
				if taken {
					m = ownerModel{holder: kind}
				}
			},
			"close": func(t *rapid.T) {
				if taken := c.TryBegin(context.Background(), wrapconn.OpClose); taken != (m.conflict() == wrapconn.NoConflict) {
					t.Fatalf("%+v: close taken %t", m, taken)
				} else if taken {
					m = ownerModel{holder: wrapconn.OpClose}
				}
			},
			"end": func(t *rapid.T) {
				if m.holder == wrapconn.OpNone || m.lease {
					t.Skip("not for the caller to end")
				}
				m.lease = rapid.Bool().Draw(t, "lease")
				c.End(m.lease)
				if !m.lease {
					m = ownerModel{}
				}
			},
			"enter": func(t *rapid.T) {
				want := wrapconn.Overlap
				if m.lease && !m.inside {
					want = wrapconn.NoConflict
				}
				taken, err := c.BeginLeased(context.Background(), wrapconn.OpRowsClose)
				expect(t, wrapconn.OpRowsClose, taken, err, want)
				m.inside = m.inside || taken
			},
			"leave": func(t *rapid.T) {
				if !m.inside {
					t.Skip("not inside")
				}
				done := rapid.Bool().Draw(t, "done")
				c.EndLeased(done)
				if m.inside = false; done {
					m = ownerModel{}
				}
			},
			"drop": func(*rapid.T) {
				c.Drop()
				if m.lease && !m.inside {
					m = ownerModel{}
				}
			},
			"forget": func(*rapid.T) { c.Forget() },
			"": func(t *rapid.T) {
				if len(reports) != refused {
					t.Fatalf("%d reports of %d refusals", len(reports), refused)
				}
			},
		})
	})
}

// TestOwnerHoldsOne has goroutines fight for an owner: at most one is inside, and each conflict names who was.
func TestOwnerHoldsOne(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := wrapconn.New(a, wrapconn.Options{CallSites: true, Operations: true})
	var inside, taken, refused atomic.Int64
	enter := func() {
		if inside.Add(1) != 1 {
			t.Error("two are inside")
		}
		runtime.Gosched()
		inside.Add(-1)
	}
	check := func(err error) {
		refused.Add(1)
		var oe *wrapconn.OwnershipError
		if !errors.As(err, &oe) || oe.Report.Owner == nil || oe.Report.Intruder == nil {
			t.Errorf("refused without names: %v", err)
		}
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range 5000 {
				ok, err := c.Begin(context.Background(), wrapconn.OpQuery)
				if !ok {
					check(err)
					continue
				}
				taken.Add(1)
				enter()
				lease := n%2 == 0
				c.End(lease)
				switch {
				case lease && n%4 == 0:
					c.Drop()
				case lease:
					if ok, err := c.BeginLeased(context.Background(), wrapconn.OpRowsClose); !ok {
						t.Errorf("the holder of the lease was kept out: %v", err)
						continue
					}
					enter()
					c.EndLeased(true)
				default:
					c.Forget()
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d operations, %d refused", taken.Load(), refused.Load())
}
