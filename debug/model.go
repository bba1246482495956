package debug

import (
	"cmp"
	"crypto/tls"
	"slices"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// maxConnections is how many connections are listed. A page of more helps
// nobody, and each costs the copy of its history.
const maxConnections = 500

// view is what is shown: its JSON form is the one that programs get.
type view struct {
	Time        time.Time    `json:"time"`
	Filter      string       `json:"filter,omitempty"` // the server asked for
	Totals      totals       `json:"totals"`           // of this process since it started
	Servers     []server     `json:"servers"`          // all, whatever was asked for
	Total       int          `json:"connections_total"`
	Shown       int          `json:"connections_shown"` // at most 500
	Connections []connection `json:"connections"`
	Reports     []report     `json:"reports"`   // newest first
	Abandoned   []abandoned  `json:"abandoned"` // newest first
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

type server struct {
	Address     string `json:"address"`
	Connections int    `json:"connections"`
}

type connection struct {
	Server        string     `json:"server"`
	Network       string     `json:"network"`
	Database      string     `json:"database,omitempty"`
	ID            uint32     `json:"id"`
	ServerVersion string     `json:"server_version"`
	Phase         string     `json:"phase"`
	Expected      uint8      `json:"sequence_expected"`
	Command       string     `json:"command,omitempty"` // under way, or the last
	Commands      uint64     `json:"commands"`
	Pending       int        `json:"pending_answers"`
	InTransaction bool       `json:"in_transaction"`
	State         string     `json:"state"` // free, held, leased, transaction (open, with no operation under way)
	Owner         *operation `json:"owner,omitempty"`
	TLS           string     `json:"tls"` // none, visible, opaque
	TLSVersion    string     `json:"tls_version,omitempty"`
	TLSSuite      string     `json:"tls_suite,omitempty"`
	Hidden        string     `json:"tls_reason,omitempty"` // why the packets are not seen
	Compressed    bool       `json:"compression"`
	Received      uint64     `json:"bytes_received"`
	Sent          uint64     `json:"bytes_sent"`
	Age           ms         `json:"age_ms"`
	Idle          ms         `json:"idle_ms"`
	NothingDue    ms         `json:"nothing_due_ms,omitempty"` // a read waits although every answer is complete
	Broken        string     `json:"broken,omitempty"`         // the cause that ended it
	Packets       []packet   `json:"packets"`
	Forgotten     uint64     `json:"packets_forgotten"`
}

type operation struct {
	Kind     string `json:"operation"`
	Age      ms     `json:"age_ms"`
	Function string `json:"function,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

type packet struct {
	At        ms     `json:"at_ms"` // since the connection was made
	Direction string `json:"direction"`
	First     uint8  `json:"sequence_first"`
	Last      uint8  `json:"sequence_last"`
	Label     string `json:"label"`
	Kind      string `json:"kind"`
	Count     int    `json:"count"`
	Bytes     int    `json:"bytes"`
	Violation string `json:"violation,omitempty"`
	Due       *uint8 `json:"sequence_due,omitempty"` // of a violation of the numbering

	ids  string
	sent bool
}

type report struct {
	Time        time.Time  `json:"time"`
	Server      string     `json:"server"`
	Connection  uint32     `json:"connection"`
	Cause       string     `json:"cause"`
	Severity    string     `json:"severity"`
	Title       string     `json:"title"`
	Explanation string     `json:"explanation"`
	Advice      string     `json:"advice"`
	Docs        string     `json:"documentation"`
	Executed    string     `json:"executed,omitempty"`   // nothing is said where nothing has failed
	RetrySafe   *bool      `json:"retry_safe,omitempty"` // nothing is said of a misuse, or where nothing has failed
	Phase       string     `json:"phase"`
	Owner       *operation `json:"owner,omitempty"`
	Intruder    *operation `json:"intruder,omitempty"`
	Packets     []packet   `json:"packets"`
	Forgotten   uint64     `json:"packets_forgotten"`

	ago ms
}

// ms is a duration that JSON gets in milliseconds, as the telemetry has it.
type ms time.Duration

// look takes what there is to see of one server, or of all for "".
func look(filter string) *view {
	snapshots, counts := wrapconn.Connections(filter, maxConnections)
	s := wrapconn.Stats()
	v := &view{
		Time: time.Now(), Filter: filter, Shown: len(snapshots),
		Totals: totals{
			Connections: s.Connections, Reports: s.Reports, Notices: s.Notices, Closed: s.Closed,
			Untracked: s.Untracked, Opaque: s.Opaque, Abandoned: s.Abandoned,
			Undelivered: s.Undelivered, Nested: s.Nested,
		},
		// Empty lists, not null, for a reader of the JSON.
		Servers: make([]server, 0, len(counts)), Connections: make([]connection, len(snapshots)), Reports: []report{}, Abandoned: []abandoned{},
	}
	for address, n := range counts {
		v.Servers = append(v.Servers, server{address, n})
		if filter == "" || filter == address {
			v.Total += n
		}
	}
	slices.SortFunc(v.Servers, func(a, b server) int { return cmp.Compare(a.Address, b.Address) })
	for i := range snapshots {
		v.Connections[i] = connectionOf(&snapshots[i])
	}
	for _, r := range wrapconn.LastReports() {
		if filter == "" || filter == r.Server {
			v.Reports = append(v.Reports, reportOf(r, v.Time))
		}
	}
	for _, r := range wrapconn.LastAbandoned() {
		if filter == "" || filter == r.Server {
			v.Abandoned = append(v.Abandoned, abandonedOf(r, v.Time))
		}
	}
	return v
}

func connectionOf(s *wrapconn.Snapshot) connection {
	c := connection{
		Server: s.Server, Network: s.Network, Database: s.Database, ID: s.Connection, ServerVersion: s.ServerVersion,
		Phase: s.Phase.String(), Expected: s.Expected, Commands: s.Commands, Pending: s.Pending,
		InTransaction: s.InTransaction, State: "free", Owner: operationOf(s.Owner),
		TLS: s.TLS.String(), Hidden: s.TLSReason, Compressed: s.Compressed, Received: s.Received, Sent: s.Sent,
		Age: ms(s.Time.Sub(s.Connected)), Idle: ms(s.Idle), NothingDue: ms(s.NothingDue), Broken: string(s.Broken),
		Packets: packetsOf(s.History, s.Connected, nil), Forgotten: s.Forgotten,
	}
	if s.Commands > 0 {
		c.Command = s.Command.String()
	}
	switch {
	case s.Leased:
		c.State = "leased"
	case s.Owner != nil:
		c.State = "held"
	case s.InTransaction:
		c.State = "transaction"
	}
	if s.TLSVersion != 0 {
		c.TLSVersion = tls.VersionName(s.TLSVersion)
	}
	if s.TLSSuite != 0 {
		c.TLSSuite = tls.CipherSuiteName(s.TLSSuite)
	}
	return c
}

func operationOf(o *wrapconn.Operation) *operation {
	if o == nil {
		return nil
	}
	out := &operation{Kind: o.Kind.String(), Age: ms(o.Age)}
	if f, ok := o.Site(); ok {
		out.Function, out.File, out.Line = f.Function, f.File, f.Line
	}
	return out
}

// packetsOf makes packets of a history. due is the id that was due when a
// violation of the numbering was met, nil if that is not known.
func packetsOf(history []wrapconn.HistoryEntry, connected time.Time, due *uint8) []packet {
	out := make([]packet, len(history))
	for i := range history {
		e := &history[i]
		p := packet{
			At: ms(e.Time.Sub(connected)), Direction: "received",
			Label: e.Label(), Kind: e.Kind.String(), Count: e.Count,
			ids: e.IDs(), sent: e.Direction == session.FromClient,
		}
		if p.sent {
			p.Direction = "sent"
		}
		if p.ids != "" {
			p.First, p.Last, p.Bytes = e.First, e.Last, e.Bytes
		}
		if e.Violation != session.None {
			p.Violation = e.Violation.String()
			if due != nil && (e.Violation == session.SequenceMismatch || e.Violation == session.MisnumberedError) {
				p.Due = due
			}
		}
		out[i] = p
	}
	return out
}

func reportOf(r *wrapconn.Report, now time.Time) report {
	c := &r.Cause
	out := report{
		Time: r.Time, Server: r.Server, Connection: r.Connection, Cause: string(c.Slug), Severity: c.Severity.String(),
		Title: c.Title, Explanation: c.Explanation, Advice: c.Advice, Docs: cause.DocURL(c.Slug),
		Executed: c.Executed.String(), Phase: r.Evidence.Phase.String(),
		Owner: operationOf(r.Owner), Intruder: operationOf(r.Intruder),
		Packets: packetsOf(r.History, r.Connected, &r.Evidence.Expected), Forgotten: r.Forgotten,
		ago: ms(now.Sub(r.Time)),
	}
	if safe, applies := c.Retry(); applies {
		out.RetrySafe = &safe
	}
	if c.Standing {
		out.Executed = ""
	}
	return out
}
