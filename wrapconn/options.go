package wrapconn

import (
	"context"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
)

// Mode says what happens when a connection is misused.
type Mode uint8

const (
	// Enforce refuses a use that would break the conversation or read another
	// command's answer, before a byte is written.
	Enforce Mode = iota
	// Observe reports the same and refuses nothing, with one exception: bytes
	// that cannot be a greeting are not handed to a client that would panic on
	// them.
	Observe
)

func (m Mode) String() string {
	if m == Observe {
		return "observe"
	}
	return "enforce"
}

// DefaultHistory is how many entries of history a connection keeps. An entry
// is a packet or a run of rows and takes 16 bytes.
const DefaultHistory = conversation.DefaultHistory

// MaxHistory bounds Options.History.
const MaxHistory = conversation.MaxHistory

// Options configure a Conn. The zero value is usable.
type Options struct {
	// Mode is Enforce unless set.
	Mode Mode
	// History is how many entries to keep; 0 means DefaultHistory.
	History int
	// CallSites records where each operation was started: some ten nanoseconds
	// on amd64 and arm64, where it walks along the frame pointers, and some
	// microseconds on other architectures and with the build tag purego.
	CallSites bool
	// NoStacks does not look where the goroutine is whose server has been waiting
	// for it for more than a second. Without CallSites nobody looks either: it is
	// found by what it has in common with the call site.
	NoStacks bool
	// Operations says that all use of the connection goes through Begin and
	// End, so that a Read or Write outside any operation is a violation.
	Operations bool
	// OpaqueTLS does not look into TLS, even if the secrets are at hand.
	OpaqueTLS bool
	// NoPeek does not look into the socket before a command. What waits there, a
	// stale answer or a farewell, is then not found before the command is out.
	NoPeek bool
	// Server is the address as the user wrote it, Network the kind of network
	// ("tcp", "unix", a custom name); both are for reports.
	Server, Network string
	// Dialing is when the dial of the connection began, as Dialing returned it; the
	// zero time if that is not known. With it a server that was kept waiting while the
	// dial returned late to a process that could not run is told from one that is slow.
	Dialing time.Time
	// ID names the connection in its reports, "" for none: for those who see it
	// elsewhere under that name.
	ID string
	// Database is the schema asked for at login, for reports.
	Database string
	// Pool is what connections of one pool have in common, for Holders and LookAt; it
	// must be comparable.
	Pool any
	// HeldTooLong reports, once, a connection that is out of its pool for longer; 0 does not.
	HeldTooLong time.Duration
	// Abandoned reports an operation whose context ended while its command was
	// unanswered, as a notice. It is counted and listed in any case; see
	// Conn.Abandoned.
	Abandoned bool
	// Inquire, if it is not nil, is asked about each report that a Delivery gets, and
	// must return at once: what is to be found out about it before its receivers are
	// told, nil for nothing. That is called on a goroutine that neither the
	// connection nor other reports wait for, and may take until its context ends,
	// some seconds later. It must not use a guarded connection. One is called at a
	// time; when too many wait, the report is told without.
	Inquire func(r *Report) (ask func(context.Context) Answers)
	// OnReport is told about each violation, on the goroutine that met it, with
	// no lock held: somebody waits for the connection meanwhile, and database/sql
	// may hold a lock of its own. So it must return at once and not use the
	// connection; Delivery.Report is such a function, for all that may take
	// longer. ctx is the one of the operation under way, or
	// context.Background(). A panic of it is recovered and counted.
	OnReport func(ctx context.Context, r *Report)
}
