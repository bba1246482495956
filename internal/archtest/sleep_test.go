package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mostSleeps is how many there are in the tests of all modules, bubbles of testing/synctest apart. It may go down.
const mostSleeps = 70

// A sleep in a test is a guess at how long something takes, and wrong on a machine that is busy. Wait for what is to happen instead
// (kit.Eventually, kit.AwaitEnd, a channel), or take a bubble of testing/synctest. What remains is time that is itself what the test is
// about: a server's clock, a pause of this process, a gap between two events. Each says so beside it, in the modules beside the library's
// as well, and in what is no test: the demo breaks connections by pauses, and what tests share looks again until something is there.
func TestSleepsAreFew(t *testing.T) {
	n := 0
	most := map[string]int{}
	modules := map[string]bool{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && path != root {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				modules[filepath.ToSlash(strings.TrimPrefix(path, root))] = true
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || strings.Contains(string(text), `"testing/synctest"`) {
			return err
		}
		if strings.HasSuffix(path, "sleep_test.go") {
			return nil
		}
		before := ""
		for i, line := range strings.Split(string(text), "\n") {
			if strings.Contains(line, "time.Sleep(") {
				if strings.HasSuffix(path, "_test.go") {
					n++
					most[path]++
				}
				if !strings.Contains(line, "//") && !strings.HasPrefix(strings.TrimSpace(before), "//") {
					t.Errorf("%s:%d: a sleep without a reason beside it", path, i+1)
				}
			}
			before = line
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"", "/cmd/seqguard", "/contrib", "/example", "/bench"} {
		if !modules[m] {
			t.Errorf("the module in %q was not looked at", "."+m)
		}
	}
	t.Logf("%d sleeps in %d files", n, len(most))
	if n > mostSleeps {
		for path, k := range most {
			t.Logf("%3d %s", k, path)
		}
		t.Errorf("%d sleeps, at most %d", n, mostSleeps)
	}
}
