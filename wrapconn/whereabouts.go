package wrapconn

import (
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/testimony"
	"github.com/seqguard/mysql-seqguard/wrapconn/internal/callers"
)

// lateAfter is how long a server waits for its client before it is looked where
// that is.
const lateAfter = time.Second

// sighting is where the goroutine was that began an operation.
type sighting struct {
	began time.Duration // the operation, on the connection's clock
	where string
}

var census testimony.Census

// lookForLate looks where the goroutines are whose servers wait for them. It is
// called once a second, on a goroutine of its own.
func lookForLate() {
	var late []*Conn
	for _, c := range registered() {
		if len(late) < mostLate && c.isLate() {
			late = append(late, c)
		}
	}
	if len(late) == 0 {
		return
	}
	stacks := census.Take()
	for _, c := range late {
		c.lookAt(stacks)
	}
}

// mostLate bounds for how many connections the stacks are searched.
const mostLate = 64

// isLate reports whether the server has been waiting for this process for a
// while: in the login or with an answer nobody is in a Read or Write, and no byte
// has passed.
func (c *Conn) isLate() bool {
	if c.opts.NoStacks || !c.opts.CallSites || !c.owner.active() || c.inIO() || c.closed.Load() {
		return false
	}
	c.mu.Lock()
	defer c.unlock()
	s := c.talk.State()
	return (s.Phase.Connecting() || s.Phase.Answering()) && c.now()-s.LastByte >= lateAfter
}

func (c *Conn) inIO() bool { return c.reading.Load() || c.writing.Load() }

// lookAt finds the goroutine of the operation under way among stacks, and notes
// where it is. If it can be one of several, in different places, it is not known.
func (c *Conn) lookAt(stacks [][]uintptr) {
	state, op := c.owner.copy()
	if state == ownerFree || op.ncaller == 0 {
		return
	}
	found := callers.Match(stacks, op.callers[:op.ncaller])
	if len(found) > mostLate {
		return
	}
	where := ""
	for _, i := range found {
		p := placeOf(stacks[i])
		if p.inIO || p.inGuard != (state != ownerLeased) {
			continue // it uses another connection
		}
		if p.where == "" || where != "" && p.where != where {
			return
		}
		where = p.where
	}
	if where != "" && !c.inIO() { // nor has it been meanwhile, as far as can be seen
		c.sighted.Store(&sighting{op.started, where})
	}
}

// whereabouts returns where the goroutine of the operation under way was last seen
// while the server waited for it, "" if nobody looked.
func (c *Conn) whereabouts() string {
	s := c.sighted.Load()
	if s == nil {
		return ""
	}
	if _, op := c.owner.last(); op.started != s.began {
		return ""
	}
	return s.where
}

// whereIs is where a goroutine is.
type whereIs struct {
	where         string // empty if it is in no function outside of the standard library
	inGuard, inIO bool   // in a call to the guard; in a Read or Write of a connection
}

const (
	rootPath = "github.com/seqguard/mysql-seqguard"
	connPath = rootPath + "/wrapconn.(*Conn)."
)

// placeOf describes a stack: the innermost function outside of the standard
// library, and what of the library it is in; behind them the caller's own
// function, if the former is one of a library that is known.
func placeOf(pcs []uintptr) (p whereIs) {
	std, library := "", ""
	callers.Frames(pcs, func(f runtime.Frame) bool {
		name := f.Function
		switch {
		case name == connPath+"Read" || name == connPath+"Write":
			p.inGuard, p.inIO = true, true
			return false
		case strings.HasPrefix(name, rootPath+".") || strings.HasPrefix(name, rootPath+"/wrapconn."):
			p.inGuard = true
		case isStandard(name):
			if p.where == "" && library == "" && !strings.HasPrefix(name, "runtime.") {
				std = name
			}
			return true
		}
		if p.where != "" {
			return true // only whether it is inside of the guard
		}
		if isLibrary(name) {
			if library == "" {
				library = name
			}
			return true
		}
		p.where = shortFunction(name) + " (" + shortFile(f.File) + ":" + strconv.Itoa(f.Line) + ")"
		switch {
		case library != "":
			p.where += ", in " + shortFunction(library)
		case std != "":
			p.where += ", in " + shortFunction(std)
		}
		return true
	})
	return p
}

// shortFunction leaves the folders of the package out: "shop.(*Cache).fill".
func shortFunction(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// isStandard reports whether a function is of the standard library: the first
// element of its path is one of the library's.
func isStandard(function string) bool {
	end := strings.IndexAny(function, "/.")
	if end < 0 {
		return false
	}
	switch function[:end] {
	case "archive", "bufio", "bytes", "cmp", "compress", "container", "context", "crypto", "database", "embed", "encoding", "errors", "fmt", "hash",
		"html", "image", "internal", "io", "iter", "log", "maps", "math", "mime", "net", "os", "path", "reflect", "regexp", "runtime", "slices", "sort",
		"strconv", "strings", "sync", "syscall", "testing", "text", "time", "unicode", "unique", "vendor":
		return true
	}
	return false
}
