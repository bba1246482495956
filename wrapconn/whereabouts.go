package wrapconn

import (
	"cmp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/testimony"
	"github.com/seqguard/mysql-seqguard/wrapconn/internal/callers"
)

// lateAfter is how long a server has been waiting for its client when it is looked
// where that is, and when it is looked again. A result that nobody reads to its end
// is no reason to look for ever.
var lateAfter = [...]time.Duration{time.Second, 10 * time.Second, time.Minute}

// misses is how often it is looked again a second later if the goroutine was not found:
// it may have been on its way to another place.
const misses = 2

// sighting is where the goroutine was that began an operation.
type sighting struct {
	began  time.Duration // the operation, on the connection's clock
	pause  time.Duration // since when the server waited
	looks  int           // at that pause
	missed int           // looks that did not find it and do not count
	where  string        // "" if it was not found
}

var census testimony.Census

// lookForLate looks where the goroutines are whose servers wait for them. It is
// called once a second, on a goroutine of its own, with connections on which
// nobody was in a Read or Write.
func lookForLate(outside []*Conn) {
	late := outside[:0]
	for _, c := range outside {
		if c.isLate() {
			late = append(late, c)
		}
	}
	if len(late) == 0 {
		return
	}
	stacks := census.Take()
	if stacks == nil {
		return // too soon, or too many
	}
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
	since, waits := c.serverWaits()
	looks := 0
	if s := c.sighted.Load(); s != nil && s.pause == since {
		looks = s.looks
	}
	return waits && looks < len(lateAfter) && c.now()-since >= lateAfter[looks]
}

// serverWaits returns when the last byte passed, and whether it is this side's turn to
// read or write now.
func (c *Conn) serverWaits() (since time.Duration, waits bool) {
	c.mu.Lock()
	defer c.unlock()
	s := c.talk.State()
	return s.LastByte, s.Phase.Connecting() || s.Phase.Answering()
}

func (c *Conn) inIO() bool { return c.reading.Load() || c.writing.Load() }

// lookAt finds the goroutine of the operation under way among stacks, and notes
// where it is. If it can be one of several, in different places, it is not known.
func (c *Conn) lookAt(stacks [][]uintptr) {
	state, op := c.owner.copy()
	if state == ownerFree || op.ncaller == 0 {
		return
	}
	where := find(stacks, op.callers[:op.ncaller], state != ownerLeased, placeOf)
	if c.inIO() { // by now
		return
	}
	since, _ := c.serverWaits()
	next := sighting{began: op.started, pause: since, looks: 1, where: where}
	if s := c.sighted.Load(); s != nil && s.began == next.began {
		if s.pause == next.pause {
			next.looks, next.missed = s.looks+1, s.missed
		}
		next.where = cmp.Or(where, s.where)
	}
	if where == "" && next.missed < misses {
		next.looks--
		next.missed++
	}
	c.sighted.Store(&next)
}

// find returns where the one goroutine is whose call pcs are, "" if there is none, or
// if there are several in different places. inside is whether it is in a call to the
// guard.
func find(stacks [][]uintptr, pcs []uintptr, inside bool, placeOf func([]uintptr) whereIs) (where string) {
	found := callers.Match(stacks, pcs)
	if len(found) > mostLate {
		return ""
	}
	for _, i := range found {
		p := placeOf(stacks[i])
		if p.inIO || p.inGuard != inside {
			continue // it uses another connection
		}
		if p.where == "" || where != "" && p.where != where {
			return ""
		}
		where = p.where
	}
	return where
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
