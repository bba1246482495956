//go:build unix

package keylog

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestTailOfPipe: a key log that comes through a pipe is read once. To open it again would wait for ever.
func TestTailOfPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() { _ = os.WriteFile(path, []byte("one\n"), 0) }()
	var tail Tail
	got := ""
	read := func() { _ = tail.Read(path, func(b []byte) { got += string(b) }) }
	done := make(chan struct{})
	go func() {
		defer close(done)
		read()
		read()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it waits")
	}
	if got != "one\n" {
		t.Errorf("%q", got)
	}
}
