package grammar_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"testing"
)

type stopped struct{}

// recorder collects failures.
type recorder struct {
	testing.TB
	last string
}

func (r *recorder) Helper() {}
func (r *recorder) Fatalf(f string, a ...any) {
	r.last = fmt.Sprintf(f, a...)
	panic(stopped{})
}

func TestCollect(t *testing.T) {
	if os.Getenv("COLLECT") == "" {
		t.Skip()
	}
	n := map[string]int{}
	eg := map[string]string{}
	r := rand.New(rand.NewPCG(uint64(os.Getpid()), 4))
	current = func(c *comparison) string {
		k := fmt.Sprintf("%v/%s ", c.alone.class, c.op)
		if c.report != nil {
			e := c.report.Evidence
			k += fmt.Sprintf("G %s %s %s", e.Violation, e.Phase, e.Kind)
		} else {
			k += fmt.Sprintf("idle %v lost %v starved %v", c.idle, c.lost, c.starved)
		}
		return k
	}
	for range 200_000 {
		rec := &recorder{TB: t}
		func() {
			defer func() {
				if p := recover(); p != nil {
					if _, ok := p.(stopped); !ok {
						panic(p)
					}
					n[lastKey]++
					if len(eg[lastKey]) == 0 || len(rec.last) < len(eg[lastKey]) {
						eg[lastKey] = rec.last
					}
				}
			}()
			b := randomBytes(r, 80)
			if os.Getenv("COLLECT") == "login" {
				randomLogin(rec, b, nil)
			} else {
				random(rec, b, nil)
			}
		}()
	}
	var keys []string
	for k := range n {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return n[keys[i]] > n[keys[j]] })
	for _, k := range keys {
		fmt.Printf("=== %d × %s\n%s\n", n[k], k, eg[k])
	}
}
