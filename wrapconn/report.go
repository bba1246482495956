package wrapconn

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Report is everything that is told about one violation. It holds no payload,
// no SQL and no credentials; the server's own error message is in it.
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
	// Context is that of the operation under way, never nil.
	Context context.Context
}

// Quiet reports whether the event is too ordinary to be told: the peer closed
// an idle connection politely. It is counted.
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

// Operation returns the operation in whose course the violation was met: the
// intruder of a conflict, the owner otherwise; nil if there was none.
func (r *Report) Operation() *Operation { return r.operation() }

// String is the report in a few lines of text, without the timeline.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): %s\n%s\n", r.Cause.Title, r.Cause.Slug, r.Cause.Explanation, r.Cause.Advice)
	retry := "not safe"
	if r.Cause.RetrySafe {
		retry = "safe"
	}
	fmt.Fprintf(&b, "executed: %s; retry: %s", r.Cause.Executed, retry)
	for i, s := range r.Cause.Alternatives {
		sep := ", "
		if i == 0 {
			sep = "; not excluded: "
		}
		b.WriteString(sep + string(s))
	}
	b.WriteString("\nconnection ")
	if r.Connection != 0 { // it has no number before the greeting
		fmt.Fprintf(&b, "%d ", r.Connection)
	}
	b.WriteString("to " + r.Server)
	if v := r.Evidence.ServerVersion; v != "" {
		fmt.Fprintf(&b, " (%q)", v)
	}
	fmt.Fprintf(&b, ", %s old", formatDuration(r.Evidence.Age))
	if o := r.operation(); o != nil {
		fmt.Fprintf(&b, "; during %s", o)
	}
	b.WriteByte('\n')
	if t := r.Evidence.Transport.String(); t != "" {
		b.WriteString("tcp: " + t + "\n")
	}
	if p := r.Evidence.Stall.String(); p != "" {
		b.WriteString("this process, " + p + "\n")
	}
	return b.String()
}
