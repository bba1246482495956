package explain

import (
	"context"
	"io"
)

// interruptible reads from src until ctx is done, also if src is a pipe whose Read goes
// on after it was closed, as that of the standard input does.
type interruptible struct {
	ctx   context.Context
	ready chan []byte // what was read; closed behind the last
	free  chan []byte // a buffer to read into
	rest  []byte
	buf   []byte
	err   error // of src, when ready is closed
}

func newInterruptible(ctx context.Context, src io.Reader) *interruptible {
	r := &interruptible{ctx: ctx, ready: make(chan []byte), free: make(chan []byte, 2)}
	for range cap(r.free) {
		r.free <- make([]byte, 256<<10)
	}
	go r.fill(src)
	return r
}

func (r *interruptible) fill(src io.Reader) {
	defer close(r.ready)
	for r.ctx.Err() == nil {
		buf := <-r.free
		n, err := src.Read(buf)
		if n > 0 {
			select {
			case r.ready <- buf[:n]:
			case <-r.ctx.Done():
			}
		} else {
			r.free <- buf
		}
		if err != nil {
			r.err = err
			return
		}
	}
}

func (r *interruptible) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.buf != nil {
			r.free <- r.buf[:cap(r.buf)]
			r.buf = nil
		}
		select {
		case b, ok := <-r.ready:
			if !ok {
				if r.err == nil {
					return 0, io.EOF // ctx is done
				}
				return 0, r.err
			}
			r.buf, r.rest = b, b
		case <-r.ctx.Done():
			return 0, io.EOF
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
