package wire_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
)

const maxPacket = 1<<24 - 1 // what one packet can carry

// variety sends every command that the driver can send on one connection, and
// draws every kind of answer. The DSN needs multiStatements=true. Statements
// that must fail are checked to fail in the server's words.
func variety(t *testing.T, ctx context.Context, c *sql.Conn) {
	t.Helper()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := c.ExecContext(ctx, query, args...); err != nil {
			t.Fatalf("%.60s: %v", query, err)
		}
	}
	fails := func(code uint16, query string, args ...any) {
		t.Helper()
		_, err := c.ExecContext(ctx, query, args...)
		kit.WantServerError(t, err, code)
	}
	if err := c.PingContext(ctx); err != nil {
		t.Fatal(err)
	}
	exec("CREATE TEMPORARY TABLE variety (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(50), n DOUBLE, d DATETIME(6))")
	exec("INSERT INTO variety (v, n, d) VALUES ('a', 1.5, '2026-01-02 03:04:05.678901'), (NULL, NULL, NULL), ('', 0, '0001-01-01')")
	exec("INSERT INTO variety (v) VALUES (?)", "prepared and closed by the pool")
	count(t, ctx, c, 4, "SELECT * FROM variety")
	count(t, ctx, c, 0, "SELECT * FROM variety WHERE id < 0")
	count(t, ctx, c, 4, "SELECT * FROM variety WHERE id > ?", 0)
	count(t, ctx, c, 700, many(700)) // ids pass 255 twice
	count(t, ctx, c, 3, "SELECT 1; DO 0; SELECT 2 UNION SELECT 3; SET @x = 1")
	fails(1064, "SELECT FROM WHERE")
	fails(1146, "SELECT * FROM no_such_table WHERE a = ?", 1)
	fails(1062, "INSERT INTO variety (id) VALUES (1)")
	fails(1064, "DO 0; NONSENSE; DO 1")

	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, "UPDATE variety SET n = 2"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}

	stmt, err := c.PrepareContext(ctx, "SELECT ?, ?, LENGTH(?)")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{1, nil, "text", 2.5, bytes.Repeat([]byte{0xFE}, 70000)} {
		rows, err := stmt.QueryContext(ctx, v, 2, v)
		if err != nil {
			t.Fatal(err)
		}
		drain(t, rows, 1)
	}
	if err := stmt.Close(); err != nil {
		t.Fatal(err)
	}
	none, err := c.PrepareContext(ctx, "DO 1") // neither parameters nor columns
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.ExecContext(ctx); err != nil {
		t.Fatal(err)
	}
	if err := none.Close(); err != nil {
		t.Fatal(err)
	}
	infile(t, ctx, c)
	if err := c.PingContext(ctx); err != nil {
		t.Fatal(err)
	}
}

// infile loads from this side: a long file, an empty one, and one into a table
// that does not exist.
func infile(t *testing.T, ctx context.Context, c *sql.Conn) {
	t.Helper()
	lines := strings.Repeat("a line of the file\n", 3000)
	for _, f := range []struct {
		content string
		table   string
		rows    int64
	}{{lines, "loaded", 3000}, {"", "loaded", 0}} {
		name := strings.ReplaceAll(t.Name(), "/", "_")
		mysql.RegisterReaderHandler(name, func() io.Reader { return strings.NewReader(f.content) })
		defer mysql.DeregisterReaderHandler(name)
		if _, err := c.ExecContext(ctx, "CREATE TEMPORARY TABLE IF NOT EXISTS loaded (v VARCHAR(100))"); err != nil {
			t.Fatal(err)
		}
		res, err := c.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::"+name+"' INTO TABLE loaded")
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := res.RowsAffected(); n != f.rows {
			t.Errorf("%d rows loaded, want %d", n, f.rows)
		}
		_, err = c.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::"+name+"' INTO TABLE no_such_table")
		kit.WantServerError(t, err, 1146)
	}
}

// big sends and receives payloads of more than one packet, and of exactly one
// that is full and so is followed by an empty one.
func big(t *testing.T, ctx context.Context, c *sql.Conn) {
	t.Helper()
	const head = "DO LENGTH('"
	for _, n := range []int{maxPacket - 1, maxPacket + 100} { // with the command's byte
		query := head + strings.Repeat("x", n-len(head)-len("')")) + "')"
		if _, err := c.ExecContext(ctx, query); err != nil {
			t.Fatalf("a query of %d bytes: %v", n, err)
		}
	}
	var b sql.RawBytes
	rows, err := c.QueryContext(ctx, "SELECT REPEAT('\xFE', 17000000), 1")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var one int
		if err := rows.Scan(&b, &one); err != nil || len(b) < 17000000 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
}

func many(n int) string {
	const ten = "(SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 " +
		"UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	return "SELECT CONCAT('row ', a.n + 10*b.n + 100*c.n + 1000*d.n), a.n FROM " + ten + " a, " + ten + " b, " + ten + " c, " + ten + " d LIMIT " + strconv.Itoa(n)
}

// count runs a query and counts the rows of all its results.
func count(t *testing.T, ctx context.Context, c *sql.Conn, want int, query string, args ...any) {
	t.Helper()
	rows, err := c.QueryContext(ctx, query, args...)
	if err != nil {
		t.Fatalf("%.60s: %v", query, err)
	}
	drain(t, rows, want)
}

func drain(t *testing.T, rows *sql.Rows, want int) {
	t.Helper()
	n := 0
	for more := true; more; more = rows.NextResultSet() {
		for rows.Next() {
			n++
		}
	}
	if err := rows.Err(); err != nil || n != want {
		t.Errorf("%d rows, %v; want %d", n, err, want)
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
}

// provoke makes a report of a connection that is in order, for what is in it: a
// second operation comes while the result of a first is open.
func provoke(t *testing.T, ctx context.Context, conn *sql.Conn) {
	t.Helper()
	rows, err := conn.QueryContext(ctx, "SELECT 1 UNION SELECT 2")
	if err != nil {
		t.Fatal(err)
	}
	var oe *seqguard.OwnershipError
	if _, err = conn.ExecContext(ctx, "DO 1"); !errors.As(err, &oe) {
		t.Fatalf("an operation in the middle of a result was not refused: %v", err)
	}
	drain(t, rows, 2)
}
