#!/usr/bin/env bash
# otelsql-error-among-rows.sh: a query that fails while its rows are read (killed, out of time, connection lost), and the three
# OpenTelemetry wrappers of database/sql, set up as their READMEs show it. One expects the trace to have the application's error:
#
# - github.com/uptrace/opentelemetry-go-extra/otelsql v0.3.2: no span has it. The query's span ends before the first row is read,
#   and there is none for rows.
# - go.nhat.io/otelsql v0.16.0: no span has it, and all have the status Ok, also the one of closing the rows. The option
#   TraceRowsNext, a span for each row, would show it.
# - github.com/XSAM/otelsql v0.44.0: the query's span has the status Unset. The error is on sql.rows, beside it and without the SQL,
#   and not below it (an option, RowsChildOfQuery, changes that).
#
# So whoever looks for failed queries among the queries' spans finds none of these, with any of the three.
#
# Below the wrappers is go-sqlmock v1.5.2, whose second row fails. Fails if it is otherwise. Needs Go and the module proxy; connects
# to nothing. Output seen: the three lines at the end of this file.
set -euo pipefail
dir=$(mktemp -d -t finding.XXXXXX)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export GOWORK=off GOFLAGS=-mod=mod
cat >main.go <<'GO'
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	sqlmock "github.com/DATA-DOG/go-sqlmock"
	xsam "github.com/XSAM/otelsql"
	uptrace "github.com/uptrace/opentelemetry-go-extra/otelsql"
	nhat "go.nhat.io/otelsql"
	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	spans := tracetest.NewSpanRecorder()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSpanProcessor(spans)))
	_, mock, err := sqlmock.NewWithDSN("finding")
	if err != nil {
		panic(err)
	}
	name := must(nhat.Register("sqlmock", nhat.AllowRoot(), nhat.TraceQueryWithoutArgs(), nhat.TraceRowsClose(), nhat.TraceRowsAffected()))
	for _, try := range []struct {
		name string
		db   *sql.DB
	}{
		{"uptrace", must(uptrace.Open("sqlmock", "finding"))},
		{"nhat", must(sql.Open(name, "finding"))},
		{"XSAM", must(xsam.Open("sqlmock", "finding"))},
	} {
		mock.ExpectQuery("SELECT").WillReturnRows(sqlmock.NewRows([]string{"a"}).AddRow(1).AddRow(2).RowError(1, errors.New("killed")))
		ctx, parent := otel.Tracer("").Start(context.Background(), "request")
		rows := must(try.db.QueryContext(ctx, "SELECT a FROM t"))
		for rows.Next() {
		}
		rows.Close()
		parent.End()
		fmt.Printf("%s: the application gets %q", try.name, rows.Err())
		for _, s := range spans.Ended() {
			if s.Name() != "request" && s.Name() != "db.Connect" {
				fmt.Printf("; %s %s, %d events", s.Name(), s.Status().Code, len(s.Events()))
				if s.Name() == "sql.rows" && s.Parent().SpanID() == parent.SpanContext().SpanID() {
					fmt.Print(", sibling of the query")
				}
			}
		}
		fmt.Println()
		spans.Reset()
	}
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/XSAM/otelsql@v0.44.0 github.com/uptrace/opentelemetry-go-extra/otelsql@v0.3.2 go.nhat.io/otelsql@v0.16.0 \
  github.com/DATA-DOG/go-sqlmock@v1.5.2 \
  go.opentelemetry.io/otel@v1.46.0 go.opentelemetry.io/otel/sdk@v1.46.0 >log 2>&1 || { cat log; exit 1; }
out=$(go run .)
printf '%s\n' "$out"
[ "$out" = 'uptrace: the application gets "killed"; db.Query Unset, 0 events
nhat: the application gets "killed"; sql:query Ok, 0 events; sql:rows_close Ok, 0 events
XSAM: the application gets "killed"; sql.conn.query Unset, 0 events; sql.rows Error, 1 events, sibling of the query' ] || {
  echo 'that has changed' >&2
  exit 1
}
