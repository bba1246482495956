package main

import (
	"reflect"
	"testing"

	"github.com/jmoiron/sqlx"

	seqguard "github.com/seqguard/mysql-seqguard"

	"github.com/seqguard/mysql-seqguard/example/internal/embedded"
)

var server *embedded.Server

func TestMain(m *testing.M) { embedded.Main(m, func(s *embedded.Server) { server = s }) }

func TestSqlx(t *testing.T) {
	db, err := sqlx.ConnectContext(t.Context(), seqguard.DriverName, server.DSN("app", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	lima := City{"Lima", 10_000_000}
	got, err := census(t.Context(), db, []City{{"Lagos", 15_000_000}, lima, {"Lugano", 63_000}}, "Lima", "Lugano")
	if err != nil {
		t.Fatal(err)
	}
	if want := []City{lima}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	rows, err := db.QueryxContext(t.Context(), "SELECT name, population FROM cities ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var c City
		if err := rows.StructScan(&c); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if err := rows.Err(); err != nil || n != 3 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// A refusal names the lines of the application, not those of sqlx.
func TestSqlxCallSites(t *testing.T) {
	server.Broken++
	db, err := sqlx.ConnectContext(t.Context(), seqguard.DriverName, server.DSN("app", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	rows, err := tx.QueryxContext(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	_, err = tx.NamedExecContext(t.Context(), "DELETE FROM cities WHERE name = :name", City{Name: "Lima"})
	embedded.WantSites(t, err, "TestSqlxCallSites")
}
