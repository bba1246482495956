package seqguard

import (
	"context"
	"runtime/trace"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// PostMortem is how a server is asked after a failure; see WithPostMortem. The zero
// value is usable.
type PostMortem struct {
	// Limit is how long it may take in all. 0 means two seconds, which is also the
	// most.
	Limit time.Duration
	// Every is the least time between two inquiries to one server. 0 means ten
	// seconds. There is none while an earlier one hangs in the dial function.
	Every time.Duration
	// Statement puts the text of the statement that the connection's thread is
	// running into the report, too. That text may hold private data.
	Statement bool
}

const (
	postMortemLimit = 2 * time.Second
	postMortemEvery = 10 * time.Second
)

// WithPostMortem asks the server after a failure, before the report goes to telemetry
// and callbacks: since when it is up, what its thread of the broken connection is
// doing, its real time limits, whether it is read only.
//
// The plain driver makes one more connection for this, with the same configuration
// and beyond the limits of the pool, and closes it at once. It sends only SELECT and
// SHOW. No operation waits for it, and no other report does. The error of the
// operation does not have the answers.
// DSN: seqguardPostMortem=on, or =statement for PostMortem.Statement.
func WithPostMortem(p PostMortem) Option {
	return optionFunc(func(c *config) {
		if p.Limit <= 0 || p.Limit > postMortemLimit {
			p.Limit = postMortemLimit
		}
		if p.Every <= 0 {
			p.Every = postMortemEvery
		}
		c.postMortem = &p
	})
}

// WithFlightRecorder writes the execution trace of the last seconds to a file in dir
// when this process kept a server waiting (login_stalled_locally, slow_reader,
// read_too_late). The file is for go tool trace and shows what the scheduler, the
// garbage collector and each goroutine did. Report.FlightRecording is its path.
//
// The application makes and starts the recorder; a process can have one. At most one
// file is written a minute, and 16 in all. A file is about as large as the recorder's
// MaxBytes. A trace names functions and holds no data.
func WithFlightRecorder(r *trace.FlightRecorder, dir string) Option {
	return optionFunc(func(c *config) { c.recorder, c.recordings = r, dir })
}

// inquirer asks about the reports of the connections of one configuration.
type inquirer struct {
	cfg    *mysql.Config
	opt    *config
	limits *inquiryLimits
}

// inquiryLimits is when servers were asked. They are shared by the connectors of a driver.
type inquiryLimits struct {
	mu    sync.Mutex
	asked map[string]time.Time // by server
	open  map[string]int       // inquiries that have not come back, by server
}

// recordings are the files of this process: there is one recorder in it.
var recordings struct {
	mu    sync.Mutex
	last  time.Time
	files int
}

const (
	maxAsked       = 64
	recordingEvery = time.Minute
	maxRecordings  = 16
)

// mayAsk reports whether it is time to ask a server again, and notes that it is done.
// A server from which an inquiry has not come back is not asked: a dial function need
// not heed its context, and each call of it that hangs costs a goroutine.
func (l *inquiryLimits) mayAsk(server string, every time.Duration, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[server] > 0 {
		return false
	}
	if last, ok := l.asked[server]; ok && now.Sub(last) < every {
		return false
	}
	if l.asked == nil || len(l.asked) >= maxAsked {
		l.asked = map[string]time.Time{}
	}
	l.asked[server] = now
	return true
}

// begin notes that an inquiry is under way until end is called.
func (l *inquiryLimits) begin(server string) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[string]int{}
	}
	l.open[server]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open[server]--; l.open[server] == 0 {
			delete(l.open, server)
		}
	}
}

func mayRecord(now time.Time) bool {
	recordings.mu.Lock()
	defer recordings.mu.Unlock()
	if recordings.files >= maxRecordings || recordings.files > 0 && now.Sub(recordings.last) < recordingEvery {
		return false
	}
	recordings.files++
	recordings.last = now
	return true
}

// inquire is wrapconn.Options.Inquire, nil if nothing is ever asked.
func (c *config) inquire(cfg *mysql.Config, limits *inquiryLimits) func(*wrapconn.Report) func(context.Context) wrapconn.Answers {
	if c.postMortem == nil && c.recorder == nil {
		return nil
	}
	return (&inquirer{cfg, c, limits}).question
}

// question says what to ask about a report.
func (q *inquirer) question(r *wrapconn.Report) func(context.Context) wrapconn.Answers {
	failed := r.Cause.Severity == cause.Error || r.Cause.Severity == cause.DataIntegrity
	ask := q.opt.postMortem != nil && failed && q.limits.mayAsk(r.Server, q.opt.postMortem.Every, time.Now())
	record := q.opt.recorder != nil && accused(r) && q.opt.recorder.Enabled() && mayRecord(time.Now())
	if !ask && !record {
		return nil
	}
	return func(ctx context.Context) (a wrapconn.Answers) {
		if record { // what it remembers is soon over
			a.FlightRecording = writeRecording(q.opt.recorder, q.opt.recordings, r)
		}
		if ask {
			a.PostMortem = q.postMortem(ctx, r)
		}
		return a
	}
}

// accused reports whether this process is what kept the server waiting.
func accused(r *wrapconn.Report) bool {
	switch r.Cause.Slug {
	case "login_stalled_locally", "slow_reader", "read_too_late":
		return r.Evidence.Pause() > 0
	}
	return false
}
