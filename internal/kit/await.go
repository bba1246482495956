package kit

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the plain driver: an observer is no part of what is tested

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// Eventually waits until ok, for as long as a busy machine may need, and fails the test if it never is.
func Eventually(t testing.TB, ok func() bool, format string, args ...any) {
	t.Helper()
	Within(t, 20*time.Second, ok, format, args...)
}

// Within is Eventually with a limit of its own.
func Within(t testing.TB, limit time.Duration, ok func() bool, format string, args ...any) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) { // between two looks
		if time.Now().After(end) {
			t.Fatalf(format, args...)
		}
	}
}

// Queryer is what a *sql.DB, a *sql.Conn and a *sql.Tx have in common.
type Queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// ID is the server's number of a connection.
func ID(t testing.TB, q Queryer) (id int) {
	t.Helper()
	if err := q.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// AwaitEnd waits until the server has ended the connection with that number. Both servers shut its socket first and then take it out
// of the list of their processes, so its end is here then.
func AwaitEnd(t testing.TB, server *mysqltest.Instance, id int) {
	t.Helper()
	observer, err := sql.Open("mysql", server.RootDSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer observer.Close()
	awaitEnd(t, server, observer, id)
}

func awaitEnd(t testing.TB, server *mysqltest.Instance, observer *sql.DB, id int) {
	t.Helper()
	Eventually(t, func() bool {
		var found int
		err := observer.QueryRowContext(t.Context(), "SELECT id FROM information_schema.processlist WHERE id = ?", id).Scan(&found)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		return err != nil
	}, "%s has not ended connection %d", server.Name, id)
}

// User is what a *sql.DB, a *sql.Conn and a *sql.Tx have in common for statements.
type User interface {
	Queryer
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// AwaitIdleEnd sets a limit on the connection of u, such as wait_timeout of a second, and waits until the server has ended it because nobody used it.
// Nothing is asked on it behind that: on a busy machine a second is over before the next statement.
func AwaitIdleEnd(t testing.TB, server *mysqltest.Instance, u User, limit string) {
	t.Helper()
	id := ID(t, u)
	if _, err := u.ExecContext(t.Context(), "SET SESSION "+limit); err != nil {
		t.Fatal(err)
	}
	AwaitEnd(t, server, id)
}

// AwaitStatement waits until the server is at work on a statement of the connection with that number.
func AwaitStatement(t testing.TB, server *mysqltest.Instance, id int) {
	t.Helper()
	observer, err := sql.Open("mysql", server.RootDSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer observer.Close()
	Eventually(t, func() bool {
		var n int
		err := observer.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE id = ? AND info IS NOT NULL", id).Scan(&n)
		return err == nil && n == 1
	}, "%s has not begun with a statement of connection %d", server.Name, id)
}
