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
	// Limit is how long the whole of it may take, two seconds (and at most that) if
	// it is 0.
	Limit time.Duration
	// Every is the least time between two for one server, ten seconds if it is 0.
	Every time.Duration
	// Statement: the text of the statement that the connection's thread is at work
	// on goes into the report, too. It may hold what is nobody's business.
	Statement bool
}

const (
	postMortemLimit = 2 * time.Second
	postMortemEvery = 10 * time.Second
)

// WithPostMortem has the server asked after a failure, before telemetry and callbacks
// are told of it: since when it is up, what its thread of the broken connection is at,
// its real time limits, whether it is read only. That goes over a connection of its
// own, which is made with the same configuration, beyond the limits of the pool, by
// the plain driver, and closed at once; only SELECT and SHOW are sent. Nobody's
// operation waits for it, and other reports do not. The error that the operation got
// does not have it. DSN: seqguardPostMortem=on, or =statement for PostMortem.Statement.
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

// WithFlightRecorder has the execution trace of the last seconds written to a file in
// dir when this process kept a server waiting (login_stalled_locally, slow_reader,
// read_too_late): what the scheduler, the garbage collector and each goroutine did,
// for go tool trace. Report.FlightRecording says where. The recorder is the
// application's, which starts it; there can be one in a process. At most one file is
// written a minute, and 16 in all; a file is about as large as
// the recorder's MaxBytes. A trace names functions and holds no data.
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
func (l *inquiryLimits) mayAsk(server string, every time.Duration, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, ok := l.asked[server]; ok && now.Sub(last) < every {
		return false
	}
	if l.asked == nil || len(l.asked) >= maxAsked {
		l.asked = map[string]time.Time{}
	}
	l.asked[server] = now
	return true
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
