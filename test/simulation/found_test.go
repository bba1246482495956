package simulation

import (
	"slices"
	"testing"
	"time"
)

// TestFound plays what long runs have found, as the least scenario that showed it.
func TestFound(t *testing.T) {
	command := func(k opKind, token int, f fault, after time.Duration) *op {
		o := &op{kind: k, token: token, fault: f, after: after, timeout: time.Minute}
		if k == opQuery || k == opPrepared {
			o.rows = 1
		}
		return o
	}
	login := func(name string) map[int]*loginFault {
		i := slices.IndexFunc(loginFaults, func(l loginFault) bool { return l.name == name })
		return map[int]*loginFault{1: &loginFaults[i]}
	}
	hasty := command(opQuery, 1, fNone, 0)
	hasty.timeout = 1500 * time.Millisecond
	slow := command(opQuery, 1, fSlowReader, 0)
	slow.rows = 300
	for _, tt := range []struct {
		name    string
		s       scenario
		ops     []*op
		reached string // what must be said
	}{
		{"a query with arguments within one tick behind a LOAD DATA", scenario{instant: true},
			[]*op{command(opLoad, 1, fNone, 0), command(opPrepared, 2, fNone, 0)}, "owner: leased → free"},
		{"a command within one tick of the dial", scenario{instant: true, readLimit: 3 * time.Second},
			[]*op{command(opQuery, 1, fSilent, 0)}, "cause: peer_unresponsive"},
		{"an ERR when the file had been sent", scenario{},
			[]*op{command(opLoad, 1, fLoadErr, 0)}, "cause: local_infile_aborted"},
		{"an end when the file had been sent", scenario{},
			[]*op{command(opLoad, 1, fLoadClose, 0)}, "cause: local_infile_aborted"},
		{"a COMMIT behind a statement whose close met the end", scenario{},
			[]*op{{kind: opTx, timeout: time.Minute, subs: []*op{command(opPrepared, 1, fLastWords1053, 0)}}}, "cause: server_shutdown"},
		{"an end that came before the limit and was not read", scenario{readLimit: 3 * time.Second},
			[]*op{{kind: opSession, subs: []*op{command(opExec, 1, fLastWords1053, ms(2500)), command(opExec, 2, fLateRead, ms(3500))}}}, "cause: server_shutdown"},
		{"a slow reader, and another connection hears of a shutdown", scenario{},
			[]*op{slow, command(opExec, 2, fCross1053, 0)}, "cause: server_shutdown"},
		{"a login that is held up in the Write below", scenario{logins: login("the client stalls")},
			[]*op{command(opQuery, 1, fNone, 0)}, "cause: login_stalled_locally"},
		{"the same, to MariaDB", scenario{logins: login("the client stalls"), mariaDB: true},
			[]*op{command(opQuery, 1, fNone, 0)}, "cause: login_stalled_locally"},
		{"the same, and the client's own limit is over first", scenario{logins: login("the client stalls")},
			[]*op{hasty}, "cause: login_stalled_locally"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.s.maxOpen, tt.s.clients = 2, [][]*op{tt.ops}
			out := run(t, &tt.s)
			for _, p := range out.problems {
				t.Error(p)
			}
			if tt.reached != "" && out.reached[tt.reached] == 0 {
				t.Errorf("not reached: %s; but %v", tt.reached, out.reached)
			}
		})
	}
}
