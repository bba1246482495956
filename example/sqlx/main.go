// Command sqlx is sqlx on the guarded driver: the driver's name changes, and
// sqlx is told how its parameters look.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"github.com/jmoiron/sqlx"

	seqguard "github.com/seqguard/mysql-seqguard"

	"github.com/seqguard/mysql-seqguard/example/internal/embedded"
)

func init() {
	// sqlx knows "mysql" and has never heard of this name.
	sqlx.BindDriver(seqguard.DriverName, sqlx.QUESTION)
}

// City is a row.
type City struct {
	Name       string `db:"name"`
	Population int    `db:"population"`
}

// census writes cities and returns the larger ones of those that are named.
func census(ctx context.Context, db *sqlx.DB, cities []City, names ...string) ([]City, error) {
	if _, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS cities (name VARCHAR(40) PRIMARY KEY, population INT NOT NULL)"); err != nil {
		return nil, err
	}
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if _, err := tx.NamedExecContext(ctx, "INSERT INTO cities (name, population) VALUES (:name, :population)", cities); err != nil {
		return nil, err
	}
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	query, args, err := sqlx.In("SELECT name, population FROM cities WHERE name IN (?) AND population > ? ORDER BY name", names, 1_000_000)
	if err != nil {
		return nil, err
	}
	var out []City
	return out, db.SelectContext(ctx, &out, db.Rebind(query), args...)
}

func main() {
	dsn := flag.String("dsn", "", "the database; without one an embedded server")
	flag.Parse()
	if err := run(*dsn); err != nil {
		log.Fatal(err)
	}
}

func run(dsn string) error {
	if dsn == "" {
		s, err := embedded.Start()
		if err != nil {
			return err
		}
		defer s.Close()
		dsn = s.DSN("app", "")
	}
	ctx := context.Background()
	db, err := sqlx.ConnectContext(ctx, seqguard.DriverName, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	out, err := census(ctx, db, []City{{"Lagos", 15_000_000}, {"Lima", 10_000_000}, {"Lugano", 63_000}}, "Lima", "Lugano")
	if err != nil {
		return err
	}
	for _, c := range out {
		fmt.Println(c.Name, c.Population)
	}
	return nil
}
