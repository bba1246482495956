package keylog

import (
	"io"
	"os"
)

// Tail reads what is new in a file that programs write meanwhile. The zero value
// begins at its start.
type Tail struct {
	at   int64
	file os.FileInfo // nil until there is one
}

// FromEnd returns a Tail that begins at the present end of the file, which need not be
// there yet.
func FromEnd(path string) Tail {
	fi, err := os.Stat(path)
	if err != nil {
		return Tail{}
	}
	return Tail{fi.Size(), fi}
}

// Read hands over what has come since the last Read, in pieces that are valid during
// the call. If the file is another one by now, or was begun anew, that is all of it. A
// pipe is read to its end, and not again: to open it would wait for somebody who writes.
func (t *Tail) Read(path string, give func([]byte)) error {
	fi, err := os.Stat(path)
	if err != nil {
		*t = Tail{} // what comes in its place is another one
		return err
	}
	pipe, known := fi.Mode()&os.ModeNamedPipe != 0, t.file != nil && os.SameFile(t.file, fi)
	if !known || !pipe && fi.Size() < t.at {
		t.at = 0
	}
	t.file = fi
	if known && (pipe || fi.Mode().IsRegular() && fi.Size() == t.at) {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if !pipe {
		if _, err := f.Seek(t.at, io.SeekStart); err != nil {
			return err
		}
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := f.Read(buf)
		t.at += int64(n)
		give(buf[:n])
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
