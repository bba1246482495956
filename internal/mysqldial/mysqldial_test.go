package mysqldial

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

func TestLookup(t *testing.T) {
	want := errors.New("mine")
	for _, network := range []string{"lookuptest", "tcp"} {
		if f, err := Lookup(network); f != nil || err != nil {
			t.Fatalf("%s before: %v, %v", network, f != nil, err)
		}
		mysql.RegisterDialContext(network, func(context.Context, string) (net.Conn, error) { return nil, want })
		f, err := Lookup(network)
		if err != nil || f == nil {
			t.Fatalf("%s: %v, %v", network, f != nil, err)
		}
		if _, err := f(context.Background(), ""); err != want {
			t.Errorf("%s: %v", network, err)
		}
		mysql.DeregisterDialContext(network)
		if f, err := Lookup(network); f != nil || err != nil {
			t.Errorf("%s afterwards: %v, %v", network, f != nil, err)
		}
	}
	if f, err := Lookup(probe); f != nil || err != nil {
		t.Errorf("the check left its own network behind: %v", err)
	}
}

// A driver that renamed its variables, or gave them another type, is found out.
func TestCheckFindsAnotherRegistry(t *testing.T) {
	for name, find := range map[string]func(string) mysql.DialContextFunc{
		"an empty variable": func(string) mysql.DialContextFunc { return nil },
		"another function": func(string) mysql.DialContextFunc {
			return func(context.Context, string) (net.Conn, error) { return nil, nil }
		},
		"a fault": func(string) mysql.DialContextFunc {
			var p *map[string]mysql.DialContextFunc
			return (*p)[probe]
		},
	} {
		if err := check(find); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := check(lookup); err != nil {
		t.Error(err)
	}
}

// The lock is the driver's: while it is held here, the driver waits.
func TestLockIsTheDrivers(t *testing.T) {
	done := make(chan struct{})
	dialsLock.Lock()
	go func() {
		mysql.DeregisterDialContext("locktest")
		close(done)
	}()
	select {
	case <-done:
		t.Error("the driver did not wait for the lock")
	case <-time.After(50 * time.Millisecond):
	}
	dialsLock.Unlock()
	<-done
}

// The linker compares no types, so the test reads the driver's source.
func TestDeclarationsInTheDriver(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/go-sql-driver/mysql").Output()
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "driver.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			for _, n := range v.Names {
				typ := ""
				if v.Type != nil {
					typ = types.ExprString(v.Type)
				} else if len(v.Values) == 1 {
					typ = "= " + types.ExprString(v.Values[0])
				}
				got[n.Name] = typ
			}
		}
	}
	for name, typ := range map[string]string{"dialsLock": "sync.RWMutex", "dials": "map[string]DialContextFunc", "driverName": `= "mysql"`} {
		if got[name] != typ {
			t.Errorf("the driver declares %s as %q, not %q", name, got[name], typ)
		}
	}
}
