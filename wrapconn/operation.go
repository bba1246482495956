package wrapconn

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/internal/callers"
)

// OpKind is what a user of the connection does with it.
type OpKind uint8

const (
	OpNone OpKind = iota
	OpConnect
	OpPing
	OpPrepare
	OpExec
	OpQuery
	OpBegin
	OpCommit
	OpRollback
	OpStmtClose
	OpRowsNext
	OpRowsClose
	OpNextResultSet
	OpReset
	OpClose
	OpRead
	OpWrite

	numOps
)

var opNames = [numOps]string{
	"none", "connect", "ping", "prepare", "exec", "query", "begin", "commit", "rollback",
	"statement close", "rows next", "rows close", "next result set", "reset session", "close",
	"read", "write",
}

func (k OpKind) String() string {
	if k < numOps {
		return opNames[k]
	}
	return "invalid operation " + strconv.Itoa(int(k))
}

// answers reports whether the user waits for what comes of the operation. Nobody
// does for the end of a connection or of a statement.
func (k OpKind) answers() bool {
	switch k {
	case OpPing, OpPrepare, OpExec, OpQuery, OpBegin, OpCommit, OpRollback:
		return true
	}
	return false
}

// maxCallers is how many frames of a call site are kept. Between the owner and
// the user's function lie about a dozen, of this module and database/sql.
const maxCallers = 24

// operation is one use of the connection, as the owner keeps it.
type operation struct {
	kind    OpKind
	started time.Duration // on the connection's clock
	ctx     context.Context
	// goroutine is callers.Goroutine's number of who began it.
	goroutine uintptr
	ncaller   int
	callers   [maxCallers]uintptr
}

// Operation describes one use of a connection in a report.
type Operation struct {
	Kind    OpKind
	Started time.Time
	Age     time.Duration // at the time of the report
	// Stack are the callers outside database/sql, the driver, this module and a
	// few libraries on top of database/sql (GORM, sqlx, otelsql), innermost
	// first; empty if call sites are switched off.
	Stack []Frame
	// Context is the one that the operation was started with; see Report.Context.
	Context context.Context
}

// Frame is one function of a call site.
type Frame struct {
	Function string
	File     string
	Line     int
}

func (f Frame) String() string { return f.File + ":" + strconv.Itoa(f.Line) + " " + f.Function }

// Site returns the user's frame, the innermost outside the libraries.
func (o *Operation) Site() (Frame, bool) {
	if o == nil || len(o.Stack) == 0 {
		return Frame{}, false
	}
	return o.Stack[0], true
}

// party is the operation as a cause sees it.
func (o *Operation) party() cause.Party {
	p := cause.Party{Operation: o.Kind.String(), Age: o.Age}
	if f, ok := o.Site(); ok {
		p.Site = shortFile(f.File) + ":" + strconv.Itoa(f.Line)
	}
	return p
}

func (o *Operation) String() string {
	if o == nil {
		return "nobody"
	}
	s := o.Kind.String()
	if f, ok := o.Site(); ok {
		s += " at " + shortFile(f.File) + ":" + strconv.Itoa(f.Line)
	}
	return s + ", started " + formatDuration(o.Age) + " ago"
}

// shortFile keeps the directory and the name of a file: enough to find it,
// without the path of the machine that built the program.
func shortFile(file string) string {
	i := strings.LastIndexByte(file, '/')
	if i < 0 {
		return file
	}
	if j := strings.LastIndexByte(file[:i], '/'); j >= 0 {
		return file[j+1:]
	}
	return file
}

// isLibrary reports whether a function lies between the user and the wire: of
// database/sql, of the drivers, or of the layers that are usual on top of it.
func isLibrary(function string) bool {
	for _, p := range [...]string{
		"database/sql.", "runtime.", "crypto/tls.",
		"github.com/go-sql-driver/mysql.", "github.com/ngrok/sqlmw.",
		"github.com/seqguard/mysql-seqguard.", "github.com/seqguard/mysql-seqguard/wrapconn.",
		"github.com/XSAM/otelsql.", "github.com/jmoiron/sqlx.", "gorm.io/gorm.", "gorm.io/gorm/", "gorm.io/driver/mysql.",
	} {
		if strings.HasPrefix(function, p) {
			return true
		}
	}
	return false
}

func symbolize(pcs []uintptr) (out []Frame) {
	callers.Frames(pcs, func(f runtime.Frame) bool {
		if !isLibrary(f.Function) {
			out = append(out, Frame{Function: f.Function, File: f.File, Line: f.Line})
		}
		return true
	})
	return out
}

// goroutines tells whether two operations were begun by the same goroutine.
func goroutines(a, b *operation) cause.Goroutines {
	switch {
	case a.goroutine == 0 || b.goroutine == 0:
		return cause.GoroutinesUnknown
	case a.goroutine == b.goroutine:
		return cause.SameGoroutine
	}
	return cause.OtherGoroutine
}

// goroutineID reads the number of the running goroutine from its stack's
// header. It is text for people, for reports only: never a basis of a decision.
func goroutineID() string {
	var b [40]byte
	s := strings.TrimPrefix(string(b[:runtime.Stack(b[:], false)]), "goroutine ")
	id, _, _ := strings.Cut(s, " ")
	return id
}
