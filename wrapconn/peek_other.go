//go:build !unix || aix

package wrapconn

import "errors"

var errPeekUnsupported = errors.New("peek is not supported")

// peekFD has no counterpart here that leaves the bytes in the socket; the
// connection is checked by the client alone.
func peekFD(uintptr, []byte) (int, error) { return 0, errPeekUnsupported }
