package wrapconn

import (
	"context"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Answers are what an inquiry has found out about a report.
type Answers struct {
	// PostMortem is what the server says of itself.
	PostMortem cause.PostMortem
	// FlightRecording is where a snapshot of the execution trace was written to.
	FlightRecording string
}

// inquiryTime is for how long a report waits for the answers about it.
const inquiryTime = 3 * time.Second

// inquire asks what Options.Inquire wants to, and hands the report on. It runs on
// a goroutine of the Delivery's that nobody else waits for.
func (d *Delivery) inquire(p pending, _ uint64) {
	defer func() { d.hand(p) }()
	ctx, cancel := context.WithTimeout(p.ctx, inquiryTime)
	defer cancel()
	answers := make(chan Answers, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				Recovered(v)
			}
			close(answers)
		}()
		answers <- p.ask(ctx)
	}()
	select {
	case a, ok := <-answers:
		if ok {
			p.report = p.report.answered(a)
		}
	case <-ctx.Done(): // who asks does not heed ctx: it is not waited for
	}
}

// answered is the report with the answers, which may change what is said.
func (r *Report) answered(a Answers) (out *Report) {
	out = r
	defer func() {
		if p := recover(); p != nil {
			Recovered(p)
		}
	}()
	final := *r
	final.FlightRecording = a.FlightRecording
	if a.PostMortem.Asked {
		final.Evidence.PostMortem = a.PostMortem
		final.Cause = cause.Diagnose(&final.Evidence)
	}
	lastReports.settle(r, final.detached())
	return &final
}

// question returns what is to be asked about the report, nil if nothing is.
func (r *Report) question() (ask func(context.Context) Answers) {
	if r.inquire == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			Recovered(p)
			ask = nil
		}
	}()
	return r.inquire(r)
}
