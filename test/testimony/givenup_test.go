//go:build linux

package testimony_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/internal/netlab"
)

// A context is the limit that most programs set, and a path that drops packets without a word shows as nothing but the end of one.
// What is said of the operation that was given up tells that path from a statement that takes longer.
func TestGivenUpOnADeadPath(t *testing.T) {
	const dead = "The path is dead: look at firewall, NAT, network."
	for _, name := range real {
		for _, tt := range []struct {
			name, statement string
			drop            bool
			says, do        string
		}{
			{"the path is dead", "DO 1", true, "nothing has come from there for", dead},
			{"a long statement", "DO SLEEP(5)", false, "it has COM_QUERY and does not answer. The path there is alive.", "It may still run on the server: KILL it there."},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				server := mysqltest.Shared(t, name)
				for range 3 { // a kernel on a busy machine may wait for longer before it sends again
					r := &faultRun{T: t, lab: netlab.New(t), server: server, reports: &kit.Collector{}}
					c := r.conn(r.pool(r.lab.Forward(t, server.Addr), "seqguardAbandoned=true"))
					if tt.drop {
						r.lab.NFT(t, "add rule inet lab in "+port+" drop")
					}
					ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
					_, err := c.ExecContext(ctx, tt.statement)
					cancel()
					var pe *seqguard.ProtocolError
					if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &pe) {
						t.Fatalf("error %v, want the driver's own", err)
					}
					rep := r.reports.Only(t)
					t.Log(rep)
					if strings.Contains(rep.Cause.Explanation, "too short to tell") {
						continue
					}
					if rep.Cause.Slug != "abandoned" || !strings.Contains(rep.Cause.Explanation, tt.says) || rep.Cause.Do != tt.do {
						t.Errorf("%s, to do: %s, want %q in it and %q", rep.Cause.Slug, rep.Cause.Do, tt.says, tt.do)
					}
					return
				}
				t.Error("three times not produced")
			})
		}
	}
}
