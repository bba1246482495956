package asmysql

import (
	"database/sql"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
)

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{Name: true, seqguard.DriverName: true, PlainName: false} {
		db, err := sql.Open(name, "user@tcp(127.0.0.1:1)/")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		_, guarded := db.Driver().(*seqguard.Driver)
		_, plain := db.Driver().(*mysql.MySQLDriver)
		if guarded != want || plain == want {
			t.Errorf("%s is a %T", name, db.Driver())
		}
	}
}

// Package rename is initialized before the driver because it waits for nothing.
func TestRenameImportsNothing(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "internal/rename/rename.go", nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range f.Imports {
		if i.Path.Value != `"unsafe"` {
			t.Errorf("it imports %s", i.Path.Value)
		}
	}
}

// The panic names what stands in the way, and the remedy.
func TestTaken(t *testing.T) {
	for want, d := range map[string]any{
		"go-sql-driver/mysql has registered itself": &mysql.MySQLDriver{},
		"another package has registered a driver":   nil,
	} {
		var text string
		if d == nil {
			text = taken(nil)
		} else {
			text = taken(d.(*mysql.MySQLDriver))
		}
		if !strings.Contains(text, want) || !strings.Contains(text, "docs/adopt.md#the-name") {
			t.Error(text)
		}
	}
}
