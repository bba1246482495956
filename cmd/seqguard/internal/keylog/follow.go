package keylog

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"
)

// Follower reads a key log file that programs write while it is being read.
type Follower struct {
	Store Store
	// Problem, if not nil, is told why the file cannot be read, once until it can. It
	// must not wait. A file that is not there yet is none.
	Problem func(error)

	path string

	mu      sync.Mutex
	tail    Tail
	waiting map[Random]func(lines []byte)
	fresh   []Random // read, and not yet delivered to those who wait
	problem string   // that was told
	wake    chan struct{}
}

// poll is how often the file is looked at while somebody waits for a secret.
// What a client sends meanwhile is held back.
const poll = 2 * time.Millisecond

// Follow begins at the present end of the file: the secrets before are of
// connections before. The file need not be there yet. Run must be called.
func Follow(path string) *Follower {
	return &Follower{path: path, tail: FromEnd(path), waiting: map[Random]func([]byte){}, wake: make(chan struct{}, 1)}
}

// Lines returns those of a connection that are in the file now. Until Forget, late
// is called when more come, from Run's goroutine. Lines itself calls nobody.
func (f *Follower) Lines(r Random, late func(lines []byte)) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fresh := f.read(); len(f.waiting) > 0 {
		f.fresh = append(f.fresh, fresh...)
	}
	lines := f.Store.Lines(r)
	if !whole(lines) {
		f.waiting[r] = late
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	return lines
}

// whole reports whether the lines are all that is needed: they may be written one by
// one.
func whole(lines []byte) bool {
	has := func(label string) bool { return bytes.Contains(lines, []byte(label+" ")) }
	return has("CLIENT_RANDOM") || has("CLIENT_TRAFFIC_SECRET_0") && has("SERVER_TRAFFIC_SECRET_0") &&
		has("CLIENT_HANDSHAKE_TRAFFIC_SECRET") && has("SERVER_HANDSHAKE_TRAFFIC_SECRET")
}

// Has reports whether all lines of a connection have come.
func (f *Follower) Has(r Random) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return whole(f.Store.Lines(r))
}

// Forget ends the waiting for a connection's lines.
func (f *Follower) Forget(r Random) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.waiting, r)
}

// Run looks into the file for those who wait, until ctx is done.
func (f *Follower) Run(ctx context.Context) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		f.mu.Lock()
		n := len(f.waiting)
		f.mu.Unlock()
		if n == 0 {
			tick.Stop()
			select {
			case <-f.wake:
				tick.Reset(poll)
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case <-tick.C:
			f.deliver()
		case <-ctx.Done():
			return
		}
	}
}

// deliver tells those who wait what is new.
func (f *Follower) deliver() {
	type call struct {
		late  func([]byte)
		lines []byte
	}
	var calls []call
	f.mu.Lock()
	fresh := append(f.fresh, f.read()...)
	f.fresh = nil
	for _, r := range fresh {
		if late := f.waiting[r]; late != nil {
			lines := f.Store.Lines(r)
			calls = append(calls, call{late, lines})
			if whole(lines) {
				delete(f.waiting, r)
			}
		}
	}
	f.mu.Unlock()
	for _, c := range calls {
		c.late(c.lines)
	}
}

// read takes what is new in the file, and returns whose lines it is.
func (f *Follower) read() (fresh []Random) {
	f.failed(f.tail.Read(f.path, func(b []byte) { fresh = append(fresh, f.Store.Add(b)...) }))
	return fresh
}

// failed tells a problem that is new. That there is no file yet is none.
func (f *Follower) failed(err error) {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		f.problem = ""
		return
	}
	if s := err.Error(); s != f.problem {
		f.problem = s
		if f.Problem != nil {
			f.Problem(err)
		}
	}
}
