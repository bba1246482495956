package keylog

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestProblem: a key log that cannot be read is told once, and again behind a time in
// which it could be; one that is not there yet is no problem.
func TestProblem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	f := Follow(path)
	told := 0
	f.Problem = func(error) { told++ }
	look := func() { f.Lines(Random{1}, func([]byte) {}) }
	look()
	if told != 0 {
		t.Errorf("told %d times that it is not there yet", told)
	}
	for round := 1; round <= 2; round++ {
		// Root may read any file, but nobody reads a folder.
		if err := os.MkdirAll(filepath.Join(path, "in"), 0o700); err != nil {
			t.Fatal(err)
		}
		look()
		look()
		if told != round {
			t.Errorf("round %d: told %d times", round, told)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		look()
	}
}

// TestNobodyWaits: secrets that are there in time are not kept for those who wait.
func TestNobodyWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	f := Follow(path)
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for i := range 100 {
		r := Random{byte(i)}
		_, _ = fmt.Fprintf(file, "CLIENT_RANDOM %s %096d\n", hex.EncodeToString(r[:]), i)
		if len(f.Lines(r, nil)) == 0 {
			t.Fatal("no secrets")
		}
	}
	if len(f.fresh) > 0 {
		t.Errorf("%d are kept", len(f.fresh))
	}
}
