package debug_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// giveUp waits for an answer that does not come, on a connection of its own.
func giveUp(t *testing.T, s *mysqltest.Server, address string) {
	t.Helper()
	db := open(t, s, address, 1)
	if err := db.PingContext(t.Context()); err != nil { // the login is not what is given up
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := db.ExecContext(ctx, "SELECT SLEEP(3600)"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v, want a deadline that was exceeded", err)
	}
}

func TestAbandonedIsShown(t *testing.T) {
	const server = "given-up:3306"
	giveUp(t, serve(t, "9.7.4"), server)
	page := get(t, of(server), "text/html").Body.String()
	contains(t, page, "Operations given up", "deadline exceeded", "COM_QUERY", "abandoned_test.go:", "nothing", "may go on running")
	other := get(t, of("another:3306"), "text/html").Body.String()
	if strings.Contains(other, "Operations given up") {
		t.Error("the page of another server has it, too")
	}
}
