package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/example/internal/embedded"
)

var server *embedded.Server

func TestMain(m *testing.M) { embedded.Main(m, func(s *embedded.Server) { server = s }) }

func TestTokens(t *testing.T) {
	token, asked := "", 0
	db, err := open(server.DSN("app", "not the token"), func(context.Context) (string, error) {
		asked++
		return token, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxIdleConns(-1)
	for i := 1; i <= 3; i++ {
		token = fmt.Sprint("token-", i)
		server.Account("app", token)
		if err := db.PingContext(t.Context()); err != nil {
			t.Fatalf("with token %d: %v", i, err)
		}
	}
	if asked != 3 {
		t.Errorf("asked for %d tokens, want one a connection", asked)
	}

	// A refusal is the server's ordinary answer: nothing to report about the wire.
	token = "expired"
	var refused *mysql.MySQLError
	if err := db.PingContext(t.Context()); !errors.As(err, &refused) || refused.Number != 1045 {
		t.Errorf("an old token: %v, want error 1045", err)
	}
}

func TestNoToken(t *testing.T) {
	outage := errors.New("no tokens today")
	db, err := open(server.DSN("app", ""), func(context.Context) (string, error) { return "", outage })
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.PingContext(t.Context()); !errors.Is(err, outage) {
		t.Errorf("%v, want the error of the source", err)
	}
}

func TestCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // on a busy machine a token could expire between two lines
		n := 0
		get := cached(func(context.Context) (string, time.Duration, error) {
			n++
			return fmt.Sprint(n), 100 * time.Millisecond, nil
		})
		first, _ := get(t.Context())
		time.Sleep(89 * time.Millisecond)
		again, _ := get(t.Context())
		time.Sleep(time.Millisecond)
		later, _ := get(t.Context())
		if first != "1" || again != "1" || later != "2" {
			t.Errorf("%s, %s, %s; want 1, 1, 2", first, again, later)
		}
	})
}
