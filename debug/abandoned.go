package debug

import (
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// abandoned is an operation that was given up while its command was unanswered.
type abandoned struct {
	Time          time.Time  `json:"time"`
	Server        string     `json:"server"`
	Connection    uint32     `json:"connection"`
	How           string     `json:"how"` // cancelled, deadline exceeded
	Command       string     `json:"command"`
	After         ms         `json:"after_ms"` // since the command was sent
	Started       bool       `json:"answer_started"`
	InTransaction bool       `json:"in_transaction"`
	Owner         *operation `json:"owner,omitempty"`
	Explanation   string     `json:"explanation"`
	Packets       []packet   `json:"packets"`
	Forgotten     uint64     `json:"packets_forgotten"`

	ago ms
}

func abandonedOf(r *wrapconn.Report, now time.Time) abandoned {
	e := &r.Evidence
	return abandoned{
		Time: r.Time, Server: r.Server, Connection: r.Connection, How: e.Abandoned.String(), Command: e.Command.String(),
		After: ms(e.SinceCommand), Started: e.AnswerStarted, InTransaction: e.InTransaction, Owner: operationOf(r.Owner),
		Explanation: r.Cause.Explanation, Packets: packetsOf(r.History, r.Connected, nil), Forgotten: r.Forgotten,
		ago: ms(now.Sub(r.Time)),
	}
}

// Timeline is for the page.
func (a *abandoned) Timeline() timeline { return timelineOf(a.Packets, a.Forgotten) }

// Ago is how long ago it was.
func (a *abandoned) Ago() ms { return a.ago }

// Stamp is when it was.
func (a *abandoned) Stamp() string { return a.Time.Format(time.RFC3339Nano) }
