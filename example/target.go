package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/example/internal/embedded"
)

// newTarget connects to the user's server, or starts one.
func newTarget(ctx context.Context, dsn string) (*target, func(), error) {
	if dsn != "" {
		t, err := ofUser(ctx, dsn)
		return t, func() {}, err
	}
	s, err := embedded.Start()
	if err != nil {
		return nil, nil, err
	}
	cfg, err := mysql.ParseDSN(s.DSN("demo", ""))
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	return &target{cfg: cfg, embedded: true}, s.Close, nil
}

// ofUser looks at the user's server.
func ofUser(ctx context.Context, dsn string) (*target, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	// The relay reads packets. To take TLS out without a word would be worse.
	if cfg.TLSConfig != "" && cfg.TLSConfig != "false" || cfg.TLS != nil {
		return nil, errors.New("the relay of the demo has to read the packets: take tls out of the DSN")
	}
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var seconds int
	if err := db.QueryRowContext(ctx, "SELECT @@connect_timeout").Scan(&seconds); err != nil {
		return nil, fmt.Errorf("the server of -dsn: %w", err)
	}
	t := &target{cfg: cfg}
	// Only a server with a short one is worth waiting for; else the relay plays it.
	if seconds <= 4 {
		t.patience = time.Duration(seconds) * time.Second
	}
	return t, nil
}
