// Command test runs the tests of the module and says at the end what was not
// tested.
//
//	go run ./test [argument of go test ...]
//
// It is "go test ./..." (or what the arguments name), with half an hour for each
// package where go test gives ten minutes: on a machine that does much besides, the
// real servers of one package can take that long. The packages that take longest
// begin first. The output of failing tests comes at length, and the last lines are
// what "go test" has not: how many tests were skipped, for want of which server or
// tool, and how to get it. A bare "ok" hides that.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, arguments(os.Args[1:])...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		os.Exit(2)
	}
	s := newSummary(os.Stdout)
	s.read(out)
	err = cmd.Wait()
	s.print()
	if err != nil || s.failed > 0 {
		os.Exit(1)
	}
}

// longest are the packages that wait most, for servers and their clocks. One that
// began last would run alone at the end.
var longest = []string{"./test/testimony", "./test/causes", "./test/wire", "./test/delivery", "./wrapconn"}

// arguments are those of go test for ours.
func arguments(args []string) []string {
	args = slices.Clone(args)
	if !slices.ContainsFunc(args, isPackage) {
		args = append(append(args, longest...), "./...")
	}
	if !slices.ContainsFunc(args, isTimeout) {
		args = append([]string{"-timeout=30m"}, args...)
	}
	return args
}

func isTimeout(arg string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	return strings.HasPrefix(arg, "-") && (name == "timeout" || name == "test.timeout")
}

// isPackage tells a package of go test's arguments from a flag.
func isPackage(arg string) bool { return strings.HasPrefix(arg, ".") || strings.Contains(arg, "/...") }

// event is a line of go test -json; see "go doc test2json".
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// summary is what a run came to.
type summary struct {
	w               io.Writer
	output          map[string][]string // of a test under way, by package and name
	passed, failed  int
	packages        int // that failed
	skipped         int
	reasons         map[string]int // why tests were skipped, and how many
	currentPackages map[string][]string
}

func newSummary(w io.Writer) *summary {
	return &summary{w: w, output: map[string][]string{}, reasons: map[string]int{}, currentPackages: map[string][]string{}}
}

// read takes the events of a run. A line that is none is printed as it is: a
// build error, say.
func (s *summary) read(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				s.take(e)
			} else {
				_, _ = s.w.Write(line)
			}
		}
		if err != nil {
			return
		}
	}
}

func (s *summary) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		if e.Test == "" {
			s.currentPackages[e.Package] = append(s.currentPackages[e.Package], e.Output)
		} else {
			s.output[key] = append(s.output[key], e.Output)
		}
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endOfPackage(e)
			return
		}
		switch e.Action {
		case "pass":
			s.passed++
		case "fail":
			s.failed++
			fmt.Fprintf(s.w, "--- FAIL: %s %s\n%s", e.Package, e.Test, strings.Join(s.output[key], ""))
		case "skip":
			s.skipped++
			s.reasons[reason(s.output[key])]++
		}
		delete(s.output, key)
	}
}

// endOfPackage prints the package's own line, and all it said if it failed
// outside its tests.
func (s *summary) endOfPackage(e event) {
	lines := s.currentPackages[e.Package]
	delete(s.currentPackages, e.Package)
	if e.Action == "fail" {
		s.packages++
		fmt.Fprint(s.w, strings.Join(lines, ""))
		return
	}
	for _, l := range lines {
		if strings.HasPrefix(l, "ok ") {
			fmt.Fprint(s.w, l)
		}
	}
}

// reason is what a skipped test said last, without the place in the source.
func reason(output []string) string {
	for _, l := range slices.Backward(output) {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "--- ") || strings.HasPrefix(l, "=== ") {
			continue
		}
		if file, text, ok := strings.Cut(l, ": "); ok && strings.Contains(file, ".go:") {
			l = text
		}
		return l
	}
	return "no reason given"
}

func (s *summary) print() {
	for _, r := range sorted(s.reasons) {
		fmt.Fprintf(s.w, "skipped %4d  %s\n", s.reasons[r], r)
	}
	if s.packages > 0 {
		fmt.Fprintf(s.w, "%d packages failed\n", s.packages)
	}
	fmt.Fprintf(s.w, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
}

// sorted returns the reasons, the commonest first.
func sorted(m map[string]int) []string {
	var out []string
	for r := range m {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b string) int {
		if m[a] != m[b] {
			return m[b] - m[a]
		}
		return strings.Compare(a, b)
	})
	return out
}
