package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A panic that the guard has recovered is seen by no other check: kit.Main looks for it at the end of every test binary that has
// guarded connections in it.
func TestEveryBinaryLooksForPanics(t *testing.T) {
	cmd := exec.Command("go", "list", "-test", "-json=ImportPath,Dir,Deps", module+"/...")
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	type binary struct {
		ImportPath, Dir string
		Deps            []string
	}
	checked := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var b binary
		if err := dec.Decode(&b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		// The binary of a package's tests; among what it is made of is wrapconn, as it is or compiled anew for these tests.
		guarded := slices.ContainsFunc(b.Deps, func(d string) bool { d, _, _ = strings.Cut(d, " "); return d == module+"/wrapconn" })
		if !strings.HasSuffix(b.ImportPath, ".test") || !guarded {
			continue
		}
		checked++
		files, err := filepath.Glob(filepath.Join(b.Dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(files, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(text), "func TestMain(") && strings.Contains(string(text), "kit.Main(m)")
		}) {
			t.Errorf("%s has no TestMain with kit.Main", strings.TrimSuffix(b.ImportPath, ".test"))
		}
	}
	if checked < 10 {
		t.Errorf("%d binaries have guarded connections", checked)
	}
}
