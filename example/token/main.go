// Command token logs in with passwords that expire, as managed databases hand
// them out (IAM tokens): each connection asks for the one that is valid now,
// through the driver's BeforeConnect.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"

	"github.com/seqguard/mysql-seqguard/example/internal/embedded"
)

// source hands out the password that is valid now.
type source func(context.Context) (string, error)

// open opens a pool whose connections log in with tokens.
//
// The callback runs within the login: one that is slow eats the server's
// connect_timeout, and login_stalled_locally names it.
func open(dsn string, token source) (*sql.DB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	err = cfg.Apply(mysql.BeforeConnect(func(ctx context.Context, c *mysql.Config) (err error) {
		c.Passwd, err = token(ctx)
		return err
	}))
	if err != nil {
		return nil, err
	}
	connector, err := seqguard.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	// A connection outlives its token; its successor should log in soon enough to
	// find out that tokens are refused.
	db.SetConnMaxLifetime(15 * time.Minute)
	return db, nil
}

// cached keeps a token until it is about to expire.
func cached(fetch func(context.Context) (token string, valid time.Duration, err error)) source {
	var mu sync.Mutex
	var token string
	var until time.Time
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Until(until) > 0 {
			return token, nil
		}
		t, valid, err := fetch(ctx)
		if err != nil {
			return "", err
		}
		token, until = t, time.Now().Add(valid*9/10)
		return token, nil
	}
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	s, err := embedded.Start()
	if err != nil {
		return err
	}
	defer s.Close()
	n := 0
	db, err := open(s.DSN("app", ""), cached(func(context.Context) (string, time.Duration, error) {
		n++
		token := fmt.Sprint("token-", n)
		s.Account("app", token) // as the database's own agent would
		return token, time.Nanosecond, nil
	}))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxIdleConns(-1) // each statement logs in anew
	for range 3 {
		var user string
		if err := db.QueryRow("SELECT CURRENT_USER()").Scan(&user); err != nil {
			return err
		}
		fmt.Printf("logged in as %s with token-%d\n", user, n)
	}
	return nil
}
