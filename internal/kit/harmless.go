package kit

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// PlainPool opens a pool of the plain driver that writes no log.
func PlainPool(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return sql.OpenDB(connector)
}

// Harmless runs use through the plain driver and fails the test if that panics or hangs. Nothing in this repository may be an
// input that brings software of others down: a promise about such input is tested with another one.
func Harmless(t *testing.T, dsn string, use func(context.Context, *sql.DB) error) {
	t.Helper()
	db := PlainPool(t, dsn)
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	outcome := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				outcome <- fmt.Errorf("a panic of the plain driver: %v", p)
			}
		}()
		_ = use(ctx, db)
		_ = db.Close()
		outcome <- nil
	}()
	select {
	case err := <-outcome:
		if err != nil {
			t.Errorf("this input must not be in the repository: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("this input must not be in the repository: the plain driver hangs on it")
	}
}
