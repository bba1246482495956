package debug

import (
	"crypto/tls"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

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
	State         string     `json:"state"`            // free, held, leased, transaction (open, with no operation under way)
	Use           string     `json:"use"`              // running, rows open, idle in transaction, idle, connecting, free
	For           ms         `json:"use_ms,omitempty"` // since when
	RowsLost      bool       `json:"rows_lost,omitempty"`
	Owner         *operation `json:"owner,omitempty"`
	Last          *operation `json:"last,omitempty"` // where nothing is under way and somebody holds it
	TLS           string     `json:"tls"`            // none, visible, opaque
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

	use wrapconn.Use
	// Packets are made of this; for the page, one connection after the other.
	history   []wrapconn.HistoryEntry
	connected time.Time
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
	Due       *uint8 `json:"sequence_due,omitempty"` // of the packet whose number the report is about

	ids  string
	sent bool
}

// ms is a duration that JSON gets in milliseconds, as the telemetry has it.
type ms time.Duration

func connectionOf(s *wrapconn.Snapshot) connection {
	c := connection{
		Server: s.Server, Network: s.Network, Database: s.Database, ID: s.Connection, ServerVersion: s.ServerVersion,
		Phase: s.Phase.String(), Expected: s.Expected, Commands: s.Commands, Pending: s.Pending,
		InTransaction: s.InTransaction, State: "free", Use: s.Use.String(), For: ms(s.UseFor), RowsLost: s.RowsLost,
		Owner: operationOf(s.Owner), Last: operationOf(s.Last),
		TLS: s.TLS.String(), Hidden: s.TLSReason, Compressed: s.Compressed, Received: s.Received, Sent: s.Sent,
		Age: ms(s.Time.Sub(s.Connected)), Idle: ms(s.Idle), NothingDue: ms(s.NothingDue), Broken: string(s.Broken),
		Forgotten: s.Forgotten, use: s.Use, history: s.History, connected: s.Connected,
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

// packetsOf makes packets of a history. about is the report whose history it is, nil
// if it is none's.
func packetsOf(history []wrapconn.HistoryEntry, connected time.Time, about *wrapconn.Report) []packet {
	return appendPackets(make([]packet, 0, len(history)), history, connected, about)
}

func appendPackets(out []packet, history []wrapconn.HistoryEntry, connected time.Time, about *wrapconn.Report) []packet {
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
			if about != nil && about.Misnumbered(e) {
				p.Due = &about.Evidence.Expected
			}
		}
		out = append(out, p)
	}
	return out
}
