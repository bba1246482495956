package seqguard_test

import (
	"context"
	"database/sql"
	"errors"
	"log"
	"log/slog"
	"net"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
)

func Example() {
	// The one word to change: "mysql" → "mysql-seqguard".
	db, err := sql.Open("mysql-seqguard", "user:password@tcp(db.example.com:3306)/shop")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
}

func ExampleNewConnector() {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Addr, cfg.DBName = "user", "password", "db.example.com:3306", "shop"
	connector, err := seqguard.NewConnector(cfg, seqguard.WithLogger(slog.Default()))
	if err != nil {
		log.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
}

func ExampleRegister() {
	// Report misuse, refuse nothing: for a first week in production.
	seqguard.Register("mysql-observed", seqguard.WithMode(seqguard.Observe))
	db, err := sql.Open("mysql-observed", "user:password@tcp(db.example.com:3306)/shop")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
}

// Networks that are registered with go-sql-driver are guarded.
func Example_customNetwork() {
	mysql.RegisterDialContext("bastion", func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	})
	db, err := sql.Open("mysql-seqguard", "user:password@bastion(db.internal:3306)/shop")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
}

func ExampleProtocolError() {
	var db *sql.DB // opened with mysql-seqguard
	run := func(ctx context.Context) {
		_, err := db.ExecContext(ctx, "UPDATE stock SET n = n - 1 WHERE id = ?", 7)

		var broken *seqguard.ProtocolError
		var refused *seqguard.OwnershipError
		switch {
		case errors.As(err, &broken):
			log.Print(broken.Report.Cause.Slug, broken.Report.Cause.Executed, "\n", broken.Report.Timeline())
		case errors.As(err, &refused):
			log.Print("in use by ", refused.Report.Owner)
		}
	}
	_ = run
}

func ExampleWithOnReport() {
	seqguard.Register("mysql-paged", seqguard.WithOnReport(func(ctx context.Context, r *seqguard.Report) {
		if r.Cause.Severity.String() == "data_integrity" {
			log.Printf("page somebody: %s", r.Cause.Explanation)
		}
	}))
}
