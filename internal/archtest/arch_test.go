// Package archtest holds the directions of the imports between the packages of the module: arrows point down only.
package archtest

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/seqguard/mysql-seqguard"

const (
	sqlmw  = "github.com/ngrok/sqlmw"
	driver = "github.com/go-sql-driver/mysql"
	otel   = "go.opentelemetry.io/otel"
	sdk    = otel + "/sdk"
)

// rules names what a package may import besides the standard library: a path, or a path and all below it ("path/...").
// They are about the code that users compile; tests may import more.
var rules = map[string][]string{
	"wrapconn/internal/callers": {}, // assembly: it may know nothing

	"internal/wire":         {"golang.org/x/crypto/..."},
	"wrapconn/session":      {},
	"wrapconn/cause":        {module + "/wrapconn/session"},
	"internal/clock":        {},
	"internal/testimony":    {module + "/internal/clock", module + "/wrapconn/cause"}, // for the words of what it returns
	"internal/witness":      {module + "/wrapconn/cause"},
	"wrapconn/conversation": {module + "/internal/wire", module + "/wrapconn/session", module + "/wrapconn/cause"},
	"internal/delivery":     {module + "/internal/clock"},
	"internal/memory":       {},
	"wrapconn":              {module + "/wrapconn/...", module + "/internal/clock", module + "/internal/delivery", module + "/internal/memory", module + "/internal/wire", module + "/internal/witness", module + "/internal/testimony", "golang.org/x/sys/..."},
	"debug":                 {module + "/internal/version", module + "/wrapconn", module + "/wrapconn/..."},
	"internal/version":      {},
	"trace":                 {module + "/internal/version", module + "/wrapconn", module + "/wrapconn/...", otel + "/..."},
	// It reads two variables of the driver: nothing else of ours may lean on that.
	"internal/mysqldial":      {driver},
	"asmysql":                 {module, module + "/asmysql/internal/rename"},
	"asmysql/internal/rename": {}, // not even the standard library: a test of asmysql
	"":                        {module + "/internal/delivery", module + "/internal/mysqldial", module + "/wrapconn", module + "/wrapconn/...", module + "/trace", driver, sqlmw, otel + "/..."},
}

// sqlmwFiles are the files of the root package that may know how operations are intercepted.
var sqlmwFiles = []string{"interceptor.go", "conn.go", "connector.go"}

type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	Deps       []string
	GoFiles    []string
	CgoFiles   []string
	Standard   bool
}

// list asks the go command once for the packages of the module and all they depend on, for the platform named by env.
func list(t *testing.T, env ...string) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Dir,Imports,Deps,GoFiles,CgoFiles,Standard", module+"/...")
	cmd.Env = append(cmd.Environ(), append(env, "GOWORK=off")...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	pkgs := map[string]pkg{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		pkgs[p.ImportPath] = p
	}
}

// TestImportDirections checks every platform that has files of its own, because build tags hide imports.
func TestImportDirections(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			pkgs := list(t, "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
			for rel, allowed := range rules {
				p, ok := pkgs[strings.TrimSuffix(module+"/"+rel, "/")]
				if !ok {
					continue // not built yet
				}
				for _, imp := range p.Imports {
					if !pkgs[imp].Standard && !permitted(imp, allowed) {
						t.Errorf("%s imports %s; it may import the standard library and %q", p.ImportPath, imp, allowed)
					}
				}
				// A service that does not want the live view does not link what it takes.
				if i := slices.Index(p.Imports, "html/template"); i >= 0 && rel != "debug" {
					t.Errorf("%s imports %s; only debug may", p.ImportPath, p.Imports[i])
				}
				if i := slices.Index(p.Imports, "net/http"); i >= 0 && rel != "debug" {
					t.Errorf("%s imports %s; only debug may", p.ImportPath, p.Imports[i])
				}
				// The SDK must not come in by way of another package either: that is the application's choice.
				if i := slices.IndexFunc(p.Deps, func(dep string) bool { return below(dep, sdk) }); i >= 0 {
					t.Errorf("%s depends on %s: the SDK belongs to tests and applications", p.ImportPath, p.Deps[i])
				}
			}
			// A package below wrapconn that no rule knows gets the strictest: it may import its siblings and nothing else.
			for path, p := range pkgs {
				if rel, ok := strings.CutPrefix(path, module+"/"); ok && below(path, module+"/wrapconn") && rules[rel] == nil && rel != "wrapconn/session" {
					for _, imp := range p.Imports {
						if !pkgs[imp].Standard && !below(imp, module+"/wrapconn") {
							t.Errorf("%s imports %s; packages below wrapconn import the standard library and each other", path, imp)
						}
					}
				}
			}
		})
	}
}

// TestOnlyTheInterceptorKnowsSqlmw holds the import of sqlmw to the files that are about it.
func TestOnlyTheInterceptorKnowsSqlmw(t *testing.T) {
	root, ok := list(t)[module]
	if !ok {
		t.Fatalf("the go command does not know %s", module)
	}
	for _, name := range append(root.GoFiles, root.CgoFiles...) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root.Dir, name), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if path == sqlmw && !slices.Contains(sqlmwFiles, name) {
				t.Errorf("%s imports %s; only %s may", name, sqlmw, strings.Join(sqlmwFiles, ", "))
			}
		}
	}
}

func permitted(imp string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		if base, ok := strings.CutSuffix(a, "/..."); ok {
			return below(imp, base)
		}
		return imp == a
	})
}

// below tells whether path is base or lies under it.
func below(path, base string) bool { return path == base || strings.HasPrefix(path, base+"/") }
