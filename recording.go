package seqguard

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/trace"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// maxRecording bounds a file. A recorder takes its own limit for a hint.
const maxRecording = 64 << 20

// writeRecording writes what the recorder remembers to a file of its own and returns
// its name, or "" if that fails: there is nobody who could do something about it.
func writeRecording(fr *trace.FlightRecorder, dir string, r *wrapconn.Report) (name string) {
	name = filepath.Join(dir, fmt.Sprintf("seqguard-%s-%s-%d.trace", r.Time.UTC().Format("20060102T150405.000"), r.Cause.Slug, r.Connection))
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return ""
	}
	_, err = fr.WriteTo(&limited{f, maxRecording})
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(name)
		return ""
	}
	return name
}

// limited is a writer that fails beyond so many bytes.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, errors.New("seqguard: the recording is too large")
	}
	n, err := l.w.Write(p)
	l.left -= n
	return n, err
}
