package doors

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const (
	// A program in which no line can be changed. Its module sorts before everything else, so that its packages are
	// initialized as early as any can be.
	unchanged = `package main

import (
	"database/sql"
	"fmt"
	"os"

	_ "github.com/go-sql-driver/mysql"
)

func main() {
	db, err := sql.Open("mysql", os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_, err = db.Exec("DO 1")
	fmt.Printf("%T %v %v\n", db.Driver(), err, sql.Drivers())
}
`
	byImport = `package main

import _ "github.com/seqguard/mysql-seqguard/asmysql"
`
	byRegister = `package main

import seqguard "github.com/seqguard/mysql-seqguard"

func init() { seqguard.Register("mysql") }
`
	// Another driver by the name of mysql.
	foreign = `package other

import (
	"database/sql"
	"database/sql/driver"
)

type Driver struct{}

func (Driver) Open(string) (driver.Conn, error) { return nil, driver.ErrBadConn }

func init() { sql.Register("mysql", Driver{}) }
`
	// A package that opens its pool while it is initialized.
	early = `package early

import (
	"database/sql"

	_ "github.com/go-sql-driver/mysql"
)

var DB, Err = sql.Open("mysql", "user@tcp(127.0.0.1:1)/")

func init() {
	if Err != nil {
		println("early:", Err.Error())
	} else {
		println("early: opened")
	}
}
`
	link = "-ldflags=-X github.com/go-sql-driver/mysql.driverName=mysql-plain"
)

// The name "mysql" for the guarded driver, in a program that is built outside this module, with the race detector. Each way
// works, or the program ends at its start and says why.
func TestFault5_03TheName(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs: not with -short")
	}
	server := answersOK(t)
	const guarded = "*seqguard.Driver <nil>"
	for _, tt := range []struct {
		name  string
		files map[string]string
		flags []string
		fails bool
		want  []string
	}{
		{"plain", map[string]string{"main.go": unchanged}, nil, false, []string{"*mysql.MySQLDriver <nil> [mysql]"}},
		{"asmysql", map[string]string{"main.go": unchanged, "guard.go": byImport}, nil, false,
			[]string{guarded, "[mysql mysql-plain mysql-seqguard]"}},
		{"asmysql and the linker flag", map[string]string{"main.go": unchanged, "guard.go": byImport}, []string{link}, false, []string{guarded}},
		{"asmysql and a driver without a name", map[string]string{"main.go": unchanged, "guard.go": byImport},
			[]string{"-ldflags=-X github.com/go-sql-driver/mysql.driverName="}, false, []string{guarded, "[mysql mysql-seqguard]"}},
		{"linker flag", map[string]string{"main.go": unchanged, "guard.go": byRegister}, []string{link}, false,
			[]string{guarded, "[mysql mysql-plain mysql-seqguard]"}},
		{"linker flag forgotten", map[string]string{"main.go": unchanged, "guard.go": byRegister}, nil, true,
			[]string{`panic: seqguard: the name "mysql" is taken`, "driverName=mysql-plain"}},
		{"linker flag without effect", map[string]string{"main.go": unchanged, "guard.go": byRegister},
			[]string{"-ldflags=-X github.com/go-sql-driver/mysql.anotherName=mysql-plain"}, true, []string{`panic: seqguard: the name "mysql" is taken`}},
		{"asmysql and another driver", map[string]string{"main.go": unchanged, "guard.go": byImport, "other/other.go": foreign,
			"use.go": "package main\n\nimport _ \"aaa.example/program/other\"\n"}, nil, true,
			[]string{"panic: seqguard/asmysql: another package has registered a other.Driver as \"mysql\"", "docs/adopt.md"}},
		{"asmysql and a pool that is opened too early", map[string]string{"main.go": unchanged, "guard.go": byImport, "early/early.go": early,
			"use.go": "package main\n\nimport _ \"aaa.example/program/early\"\n"}, nil, false,
			[]string{`early: sql: unknown driver "mysql" (forgotten import?)`, guarded}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			binary := build(t, tt.files, tt.flags)
			out, err := exec.Command(binary, server.DSN("")).CombinedOutput()
			if (err != nil) != tt.fails {
				t.Errorf("ended with %v", err)
			}
			for _, want := range tt.want {
				if !bytes.Contains(out, []byte(want)) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
}

// build builds a module of its own with the files, against this one, and returns the program.
func build(t *testing.T, files map[string]string, flags []string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	goMod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	// The requirements of this module, so that nothing is looked up.
	mod := strings.Replace(string(goMod), "module github.com/seqguard/mysql-seqguard", "module aaa.example/program", 1) +
		"\nrequire github.com/seqguard/mysql-seqguard v0.0.0\nreplace github.com/seqguard/mysql-seqguard => " + filepath.ToSlash(root) + "\n"
	for name, text := range map[string]string{"go.mod": mod, "go.sum": string(sum)} {
		write(t, filepath.Join(dir, name), text)
	}
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	binary := filepath.Join(dir, "program")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	args := append([]string{"build", "-mod=mod", "-o", binary}, flags...)
	if _, err := exec.LookPath("gcc"); err == nil {
		args = append(args, "-race")
	} else {
		t.Log("built without the race detector, which needs gcc")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOFLAGS=", "GOWORK=off", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
