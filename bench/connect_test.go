package bench

import (
	"database/sql"
	"testing"
)

// connectClose makes a connection, logs in, and closes it.
func connectClose(b *testing.B, db *sql.DB) func() {
	db.SetMaxIdleConns(-1)
	return func() {
		c, err := db.Conn(ctx)
		if err == nil {
			err = c.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkConnectClose(b *testing.B) { measure(b, connectClose) }
