package wrapconn

import (
	"testing"
	"unsafe"

	"github.com/seqguard/mysql-seqguard/internal/wire"
)

// TestSizes: what every connection has. A few bytes more are taken from the heap as some hundred.
func TestSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Log("the classes are those of 64 bits")
		return
	}
	if n := unsafe.Sizeof(Conn{}); n > 1792 {
		t.Errorf("a Conn has %d bytes, and takes 2048", n)
	}
	// With 16 bytes of the conversation's own around it, it takes 480.
	if n := unsafe.Sizeof(wire.TLS{}); n > 464 {
		t.Errorf("a wire.TLS has %d bytes, and takes 512", n)
	}
}
