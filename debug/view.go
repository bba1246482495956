package debug

import (
	"cmp"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/version"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// view is what is shown: its JSON form is the one that programs get.
type view struct {
	Time        time.Time    `json:"time"`
	Process     process      `json:"process"`
	Filter      string       `json:"filter,omitempty"` // the server asked for
	Totals      totals       `json:"totals"`           // of this process since it started
	Now         now          `json:"now"`
	Pools       []pool       `json:"pools"`   // those that Handler was told of
	Holders     []holder     `json:"holders"` // most first
	Servers     []server     `json:"servers"` // all, whatever was asked for
	Total       int          `json:"connections_total"`
	From        int          `json:"connections_from"` // how many were passed over
	Shown       int          `json:"connections_shown"`
	Connections []connection `json:"connections"`
	Reports     []report     `json:"reports"`   // newest first
	Abandoned   []abandoned  `json:"abandoned"` // newest first

	query   query
	handler *handler
}

// process says which process it is.
type process struct {
	Host    string `json:"host,omitempty"`
	PID     int    `json:"pid"`
	Version string `json:"version"` // of the guard
	Go      string `json:"go"`
}

func thisProcess() process {
	host, _ := os.Hostname()
	return process{Host: host, PID: os.Getpid(), Version: version.Version, Go: runtime.Version()}
}

type totals struct {
	Connections uint64 `json:"connections"`
	Reports     uint64 `json:"reports"`
	Notices     uint64 `json:"notices"`
	Closed      uint64 `json:"closed_while_idle"`
	Untracked   uint64 `json:"untracked"`
	Opaque      uint64 `json:"opaque"`
	Abandoned   uint64 `json:"abandoned"`
	Undelivered uint64 `json:"reports_undelivered"`
	Nested      uint64 `json:"reports_nested"`
}

// now counts the connections of those asked for. Open is busy and free, busy is
// running, rows open, idle in transaction, idle and connecting.
type now struct {
	Open              int `json:"open"`
	Busy              int `json:"busy"`
	Free              int `json:"free"`
	Running           int `json:"running"`
	RowsOpen          int `json:"rows_open"`
	IdleInTransaction int `json:"idle_in_transaction"`
	Idle              int `json:"idle"` // taken out of the pool, and nothing is under way
	Connecting        int `json:"connecting"`
	InTransaction     int `json:"in_transaction"` // whatever else they are
}

// holder are connections that the same line of the program has taken out of a pool.
type holder struct {
	Count     int    `json:"count"`
	State     string `json:"state"`
	Pool      string `json:"pool,omitempty"`
	For       ms     `json:"state_ms"`   // the longest of them at that
	Longest   ms     `json:"longest_ms"` // the longest of them out of its pool
	Operation string `json:"operation,omitempty"`
	Function  string `json:"function,omitempty"`
	File      string `json:"file,omitempty"`
	Line      int    `json:"line,omitempty"`

	lost bool
}

type server struct {
	Address     string `json:"address"`
	Connections int    `json:"connections"`
}

// look takes what there is to see. Of each connection packets are shown, the last; 0
// for all.
func (h *handler) look(q query, packets int) *view {
	o := wrapconn.LookAt(wrapconn.OverviewOptions{Server: q.server, Skip: q.from, Limit: q.n, ByID: q.byID, Packets: packets})
	s := wrapconn.Stats()
	v := &view{
		Time: o.Time, Process: h.process, Filter: q.server, query: q, handler: h,
		Totals: totals{
			Connections: s.Connections, Reports: s.Reports, Notices: s.Notices, Closed: s.Closed,
			Untracked: s.Untracked, Opaque: s.Opaque, Abandoned: s.Abandoned,
			Undelivered: s.Undelivered, Nested: s.Nested,
		},
		Now: now{
			Open: o.Total, Busy: o.Total - o.Uses[wrapconn.UseFree], Free: o.Uses[wrapconn.UseFree], Running: o.Uses[wrapconn.UseRunning],
			RowsOpen: o.Uses[wrapconn.UseRowsOpen], IdleInTransaction: o.Uses[wrapconn.UseIdleInTransaction], Idle: o.Uses[wrapconn.UseHeld],
			Connecting: o.Uses[wrapconn.UseConnecting], InTransaction: o.InTransaction,
		},
		Pools: h.poolsOf(o.Time, o.Holders), Total: o.Total, From: min(q.from, o.Total), Shown: len(o.Connections),
		// Empty lists, not null, for a reader of the JSON.
		Holders: make([]holder, len(o.Holders)), Servers: make([]server, 0, len(o.Servers)),
		Connections: make([]connection, len(o.Connections)), Reports: []report{}, Abandoned: []abandoned{},
	}
	for i := range o.Holders {
		v.Holders[i] = h.holderOf(&o.Holders[i])
	}
	for address, n := range o.Servers {
		v.Servers = append(v.Servers, server{address, n})
	}
	slices.SortFunc(v.Servers, func(a, b server) int { return cmp.Compare(a.Address, b.Address) })
	for i := range o.Connections {
		v.Connections[i] = connectionOf(&o.Connections[i])
	}
	for _, r := range wrapconn.LastReports() {
		if q.server == "" || q.server == r.Server {
			v.Reports = append(v.Reports, h.reportOf(&r, v.Time))
		}
	}
	for _, r := range wrapconn.LastAbandoned() {
		if q.server == "" || q.server == r.Server {
			v.Abandoned = append(v.Abandoned, h.abandonedOf(&r, v.Time))
		}
	}
	return v
}

func (h *handler) holderOf(g *wrapconn.HolderGroup) holder {
	out := holder{Count: g.Count, State: g.State(), Pool: h.poolName(g), For: ms(g.For), Longest: ms(g.Held), lost: g.RowsLost}
	if o := operationOf(g.Last); o != nil {
		out.Operation, out.Function, out.File, out.Line = o.Kind, o.Function, o.File, o.Line
	}
	return out
}
