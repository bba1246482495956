package archtest

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	// All that is looked at is imported, so that "go test" does not take an old
	// result from its cache.
	_ "github.com/seqguard/mysql-seqguard"
	_ "github.com/seqguard/mysql-seqguard/debug"
)

var update = flag.Bool("update", false, "record the API anew")

const recorded = "testdata/api.txt"

// TestAPI holds what the module exports against what is recorded: a change of it
// is a line of the diff, in review, and one that takes or changes a line may
// break who uses it.
func TestAPI(t *testing.T) {
	got := api(t)
	if *update {
		if err := os.WriteFile(recorded, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")), "\n")
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("gone: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("new:  %s", line)
		}
	}
	if t.Failed() {
		t.Errorf("if that is meant: go test ./internal/archtest -run TestAPI -update (see CONTRIBUTING.md)")
	}
}

// TestAPIIsPortable makes sure that no platform has an API of its own, because
// only the one of the platform at hand is compared.
func TestAPIIsPortable(t *testing.T) {
	files := map[string]int{}
	platforms := []string{"linux", "darwin", "windows"}
	for _, goos := range platforms {
		for _, p := range list(t, "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0") {
			if public(p.ImportPath) {
				for _, name := range p.GoFiles {
					files[filepath.Join(p.Dir, name)]++
				}
			}
		}
	}
	for name, n := range files {
		if n == len(platforms) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if ast.FileExports(file) {
			t.Errorf("%s exports something, and is not compiled on every platform", name)
		}
	}
}

func public(path string) bool {
	return below(path, module) && !strings.Contains(path+"/", "/internal/")
}

// api lists what the packages of the module export, sorted, one line for each
// thing that can change by itself.
func api(t *testing.T) (lines []string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", module+"/...")
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if path, file, _ := strings.Cut(strings.TrimSpace(line), " "); file != "" {
			files[path] = file
		}
	}
	imp := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if !public(path) {
			continue
		}
		pkg, err := imp.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range pkg.Scope().Names() {
			if obj := pkg.Scope().Lookup(name); obj.Exported() {
				lines = append(lines, describe(obj)...)
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// describe is an exported object of a package, then its fields and methods.
func describe(obj types.Object) (lines []string) {
	named, ok := obj.(*types.TypeName)
	if c, ok := obj.(*types.Const); ok {
		return []string{types.ObjectString(c, short) + " = " + c.Val().ExactString()}
	}
	if !ok || named.IsAlias() {
		return []string{types.ObjectString(obj, short)}
	}
	what := fmt.Sprintf("type %s.%s", short(obj.Pkg()), obj.Name())
	under := named.Type().Underlying()
	switch u := under.(type) {
	case *types.Struct:
		if types.Comparable(named.Type()) {
			lines = append(lines, what+" struct")
		} else {
			lines = append(lines, what+" struct, not comparable")
		}
		for f := range u.Fields() {
			if f.Exported() {
				lines = append(lines, fmt.Sprintf("%s struct, %s %s", what, f.Name(), types.TypeString(f.Type(), short)))
			}
		}
	case *types.Interface:
		lines = append(lines, what+" interface")
		for m := range u.Methods() {
			if m.Exported() {
				lines = append(lines, fmt.Sprintf("%s interface, %s%s", what, m.Name(), signature(m)))
			} else {
				lines = append(lines, what+" interface, and methods that are not exported")
			}
		}
		return lines
	default:
		lines = append(lines, what+" "+types.TypeString(under, short))
	}
	ofValue := types.NewMethodSet(named.Type())
	for sel := range types.NewMethodSet(types.NewPointer(named.Type())).Methods() {
		if m := sel.Obj(); m.Exported() {
			star := "*"
			if ofValue.Lookup(nil, m.Name()) != nil {
				star = ""
			}
			lines = append(lines, fmt.Sprintf("method (%s%s.%s) %s%s", star, short(obj.Pkg()), obj.Name(), m.Name(), signature(m.(*types.Func))))
		}
	}
	return lines
}

// signature is that of a function, from its parameters on.
func signature(f *types.Func) string {
	return strings.TrimPrefix(types.TypeString(f.Signature(), short), "func")
}

// short qualifies the names of this module by their packages' names, which are
// unique, and others by their paths.
func short(p *types.Package) string {
	if below(p.Path(), module) {
		return p.Name()
	}
	return p.Path()
}
