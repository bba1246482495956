package wrapconn

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Report is everything that is known about one violation. It has no payload, no
// SQL and no credentials. It has the server's own error message.
type Report struct {
	Time     time.Time // of detection
	Cause    cause.Diagnosis
	Evidence cause.Evidence

	Server     string // address as the user wrote it
	Network    string
	Database   string
	Peer       net.Addr // nil if unknown
	Local      net.Addr
	Connection uint32 // the server's id of the connection (SHOW PROCESSLIST)
	ID         string // Options.ID
	Connected  time.Time
	// OpaqueReason is why packets could not be seen: TLS, zstd, a corrupt frame.
	OpaqueReason string

	// Owner is the operation that was using the connection, nil if none was.
	// Of a conflict, it is the one that was there first.
	Owner *Operation
	// Intruder is the operation that was refused, or that interfered; nil
	// except for a conflict.
	Intruder *Operation
	// Conflict is why Intruder may not use the connection.
	Conflict Conflict
	// Goroutine is the number of the goroutine that met the violation: text for
	// people, to grep for in a dump.
	Goroutine string

	// History are the last packets, oldest first; Forgotten counts older ones.
	History   []HistoryEntry
	Forgotten uint64

	// Lost is how many reports before this one its receiver did not get, because
	// there were too many. Only a Delivery sets it.
	Lost uint64

	// Err is the error of the socket or the driver, if there is one.
	Err error
	// Context is that of the operation under way, in a report that is being
	// delivered, and context.Background() in one that is kept: of an error, or in a list.
	// The same is true of Owner's and Intruder's.
	Context context.Context

	// FlightRecording is the file with a snapshot of the execution trace, if one was
	// written.
	FlightRecording string

	inquire func(*Report) func(context.Context) Answers // Options.Inquire

	traced *traced // nil of a report that nobody made here
	end    uint64  // of the connection, as witness.Log knows it; 0 if it did not end
}

// Quiet reports whether the event is too ordinary to be reported: the peer closed
// an idle connection politely. It is only counted.
func (r *Report) Quiet() bool { return r.quiet() }

// Started returns when the operation under way began, or Time.
func (r *Report) Started() time.Time {
	if o := r.operation(); o != nil {
		return o.Started
	}
	return r.Time
}

// operation is the one in whose course the violation was met.
func (r *Report) operation() *Operation {
	if r.Intruder != nil {
		return r.Intruder
	}
	return r.Owner
}

// Operation returns the operation that met the violation: the intruder of a
// conflict, otherwise the owner. It is nil if there was none.
func (r *Report) Operation() *Operation { return r.operation() }

// String is the report in some lines of text: what happened, what to do, the
// operations with their call stacks, and the timeline.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s [%s]\n%s\nWhat to do: %s\nSee %s\n", r.Cause.Title, r.Cause.Slug, r.Cause.Explanation, r.Cause.Advice, cause.DocURL(r.Cause.Slug))
	b.WriteString(r.verdict())
	if n := numbers(&r.Evidence); n != "" {
		b.WriteString("seen: " + n + "\n")
	}
	b.WriteString("connection ")
	if r.Connection != 0 { // it has no number before the greeting
		fmt.Fprintf(&b, "%d ", r.Connection)
	}
	b.WriteString("to " + r.Server)
	if v := r.Evidence.ServerVersion; v != "" {
		fmt.Fprintf(&b, " (%q)", v)
	}
	fmt.Fprintf(&b, ", %s old\n", formatDuration(r.Evidence.Age))
	if r.Intruder != nil {
		r.Intruder.describe(&b, "refused or interfering")
		r.Owner.describe(&b, "in use by")
		if r.Owner != nil {
			fmt.Fprintf(&b, "same goroutine: %s\n", sameGoroutine[r.Evidence.Goroutines])
		}
	} else {
		r.Owner.describe(&b, "during")
	}
	if t := r.Evidence.Transport.String(); t != "" {
		b.WriteString("tcp: " + t + "\n")
	}
	if p := r.Evidence.Stall.String(); p != "" {
		b.WriteString("this process, " + p + "\n")
	}
	if m := r.Evidence.PostMortem.String(); m != "" {
		b.WriteString("the server, asked afterwards: " + m + "\n")
	}
	if r.FlightRecording != "" {
		b.WriteString("execution trace: " + r.FlightRecording + "\n")
	}
	if r.Goroutine != "" {
		fmt.Fprintf(&b, "met by goroutine %s\n", r.Goroutine)
	}
	if t := r.Timeline(); t != "" {
		b.WriteString("the last packets:\n" + t)
	}
	return b.String()
}

// verdict is the line about what was executed, "" if nothing failed.
func (r *Report) verdict() string {
	d := &r.Cause
	var parts []string
	if !d.Standing {
		parts = append(parts, "executed: "+d.Executed.String())
	}
	if safe, applies := d.Retry(); applies {
		retry := "retry: not safe"
		if safe {
			retry = "retry: safe"
		}
		parts = append(parts, retry)
	}
	if len(d.Alternatives) > 0 {
		s := make([]string, len(d.Alternatives))
		for i, a := range d.Alternatives {
			s[i] = string(a)
		}
		parts = append(parts, "not excluded: "+strings.Join(s, ", "))
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, "; ") + "\n"
}

var sameGoroutine = map[cause.Goroutines]string{cause.GoroutinesUnknown: "unknown", cause.SameGoroutine: "yes", cause.OtherGoroutine: "no"}

// describe writes the operation and its call stack.
func (o *Operation) describe(b *strings.Builder, as string) {
	if o == nil {
		return
	}
	fmt.Fprintf(b, "%s: %s\n", as, o)
	for _, f := range o.Stack {
		fmt.Fprintf(b, "    %s\n", f)
	}
}

// numbers are the facts of the wire.
func numbers(e *cause.Evidence) string {
	s := ""
	switch e.Violation {
	case session.SequenceMismatch, session.MisnumberedError:
		s = fmt.Sprintf("%s with sequence id %d where %d was due", what(e), e.Actual, e.Expected)
	case session.None:
		return ""
	case session.Truncated:
		s = "connection " + e.Stream.String()
		if e.ServerError != nil {
			s = what(e)
		}
	default:
		s = e.Violation.String()
		if e.ServerError != nil {
			s = what(e)
		}
	}
	return s + ", phase " + e.Phase.String()
}

// what names the packet.
func what(e *cause.Evidence) string {
	if s := e.ServerError; s != nil {
		return fmt.Sprintf("ERR %d (%s)", s.Code, oneLine(s.Message))
	}
	return e.Kind.String()
}
