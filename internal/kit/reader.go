package kit

import "errors"

// ErrDisk is the error of FailingReader.
var ErrDisk = errors.New("disk read error")

// FailingReader is a file of LOAD DATA LOCAL that cannot be read.
type FailingReader struct{}

func (FailingReader) Read([]byte) (int, error) { return 0, ErrDisk }
