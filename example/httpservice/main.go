// Command httpservice is a service with traces: net/http, otelsql, and
// mysql-seqguard under it. Of a healthy request the trace shows the handler and
// its statements; of one whose connection breaks also seqguard.violation, with
// the cause, under the statement.
//
//	go run ./httpservice -dsn 'user:password@tcp(127.0.0.1:3306)/shop'
//	curl -X PUT -d 3 localhost:8080/stock/apple ; curl localhost:8080/stock/apple
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	seqguard "github.com/seqguard/mysql-seqguard"

	"github.com/seqguard/mysql-seqguard/example/internal/embedded"
	"github.com/seqguard/mysql-seqguard/example/internal/telemetry"
)

// openDB puts otelsql over the guard: the driver's name is all that changes.
func openDB(dsn string) (*sql.DB, error) {
	return otelsql.Open(seqguard.DriverName, dsn, otelsql.WithAttributes(semconv.DBSystemNameMySQL))
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen here")
	dsn := flag.String("dsn", "", "the database; without one an embedded server")
	flag.Parse()
	if err := run(*addr, *dsn); err != nil {
		log.Fatal(err)
	}
}

func run(addr, dsn string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // docker stop, Kubernetes
	defer stop()
	shutdown, err := telemetry.Start(ctx, "httpservice", nil)
	if err != nil {
		return err
	}
	defer func() { _ = shutdown(context.Background()) }()
	if dsn == "" {
		s, err := embedded.Start()
		if err != nil {
			return err
		}
		defer s.Close()
		dsn = s.DSN("app", "")
	}
	db, err := openDB(dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := createTable(ctx, db); err != nil {
		return err
	}
	srv := &http.Server{Addr: addr, Handler: newHandler(db), ReadHeaderTimeout: 5 * time.Second}
	over := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the program at once
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		over <- srv.Shutdown(ctx)
	}()
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	// ListenAndServe returns when Shutdown begins: the requests under way still need
	// the pool. Then the pool is closed, which delivers the reports, and then the spans
	// are sent.
	return <-over
}

func createTable(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS stock (item VARCHAR(40) PRIMARY KEY, n INT NOT NULL)")
	return err
}

// newHandler serves GET and PUT /stock/{item}.
func newHandler(db *sql.DB) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stock/{item}", func(w http.ResponseWriter, r *http.Request) {
		var n int
		err := db.QueryRowContext(r.Context(), "SELECT n FROM stock WHERE item = ?", r.PathValue("item")).Scan(&n)
		if errors.Is(err, sql.ErrNoRows) {
			http.NotFound(w, r)
			return
		}
		if err != nil {
			fail(w, err)
			return
		}
		fmt.Fprintln(w, n)
	})
	mux.HandleFunc("PUT /stock/{item}", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(io.LimitReader(r.Body, 20))
		if err != nil {
			http.Error(w, "unreadable body", http.StatusBadRequest)
			return
		}
		n, err := strconv.Atoi(string(b))
		if err != nil {
			http.Error(w, "the body must be a number", http.StatusBadRequest)
			return
		}
		if err := put(r.Context(), db, r.PathValue("item"), n); err != nil {
			fail(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return otelhttp.NewHandler(mux, "stock")
}

func put(ctx context.Context, db *sql.DB, item string, n int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if _, err := tx.ExecContext(ctx, "REPLACE INTO stock (item, n) VALUES (?, ?)", item, n); err != nil {
		return err
	}
	return tx.Commit()
}

// fail tells the client little and the log all: the error's cause and advice
// are in its text, the trace has the packets.
func fail(w http.ResponseWriter, err error) {
	log.Print(err)
	var broken *seqguard.ProtocolError
	if errors.As(err, &broken) && broken.Report.Cause.RetrySafe {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	http.Error(w, "internal error", http.StatusInternalServerError)
}
