package kit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// Kill ends the connection with that id by the statement KILL, and waits until its socket is shut.
func Kill(t *testing.T, server *mysqltest.Instance, id int) {
	t.Helper()
	admin, _ := Open(t, server.RootDSN(""), nil)
	if _, err := admin.Exec(fmt.Sprintf("KILL %d", id)); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, server, admin, id)
}

// KillSoon kills a connection whose statement has run for a moment; the test begins with one that takes long. The test ends after
// the answer to the KILL, which may come later than the end of what it killed.
func KillSoon(t *testing.T, server *mysqltest.Instance, id int) {
	t.Helper()
	admin, _ := Open(t, server.RootDSN(""), nil)
	if err := admin.Ping(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	time.AfterFunc(300*time.Millisecond, func() {
		defer close(done)
		AwaitStatement(t, server, id) // on a busy machine it begins late
		if _, err := admin.Exec(fmt.Sprintf("KILL %d", id)); err != nil {
			t.Error(err)
		}
	})
}

// LongStatement runs until it is killed. SLEEP would not do: killed, it
// returns 1 and no error.
const LongStatement = "SELECT BENCHMARK(1000000000000, 1)"

// AnsweredKill tells whether the server answered the long statement that it was
// told to kill: in words, or, MySQL alone, with the row of a BENCHMARK that ended
// early, before the socket was shut (2 of 600 times on MySQL 9.7, with the plain driver too).
func AnsweredKill(server *mysqltest.Instance, err error) bool {
	var me *mysql.MySQLError
	return errors.As(err, &me) || err == nil && server.Kind == mysqltest.MySQL
}

// KillRunning kills a connection of the pool under a long statement, and returns the statement's error. Where the server answers it first
// (see AnsweredKill), it is done again.
func KillRunning(ctx context.Context, t *testing.T, server *mysqltest.Instance, db *sql.DB) error {
	t.Helper()
	for range 3 {
		c := Pin(t, db)
		KillSoon(t, server, ID(t, c))
		_, err := c.ExecContext(ctx, LongStatement)
		if !AnsweredKill(server, err) {
			return err
		}
		t.Logf("answered: %v", err)
	}
	t.Fatal("the server answered three statements that it was told to kill")
	return nil
}
