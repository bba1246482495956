package wrapconn

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// TestStreamEnd: what the kernel gave up is no limit of this side, although
// ETIMEDOUT says of itself that it is a timeout.
func TestStreamEnd(t *testing.T) {
	socket := func(e syscall.Errno) error {
		return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", e)}
	}
	for _, c := range []struct {
		err  error
		want cause.StreamEnd
	}{
		{io.EOF, cause.StreamEOF},
		{io.ErrUnexpectedEOF, cause.StreamEOF},
		{socket(syscall.ECONNRESET), cause.StreamReset},
		{socket(syscall.ETIMEDOUT), cause.StreamBroken},
		{socket(syscall.EPIPE), cause.StreamBroken},
		{&net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}, cause.StreamTimeout},
	} {
		if got := streamEnd(c.err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}
