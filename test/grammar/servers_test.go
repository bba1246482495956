package grammar_test

import (
	"database/sql"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func numbers(rows int) string {
	return fmt.Sprintf("WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM r WHERE n < %d) SELECT n FROM r", rows)
}

// forms runs a test in plaintext and compressed.
func forms(t *testing.T, params string, test func(t *testing.T, db *sql.DB, reports *kit.Collector, server *mysqltest.Instance)) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		for _, form := range []string{"plain", "compressed"} {
			t.Run(form, func(t *testing.T) {
				db, reports := kit.Open(t, server.DSN(fmt.Sprintf("compress=%v&%s", form == "compressed", params)), nil)
				db.SetMaxOpenConns(1)
				test(t, db, reports, server)
				reports.None(t)
			})
		}
	})
}

// Number 30 of the reports: packets that end an answer with every number near the
// wrap, in results, behind results, and behind a file.
func TestNumbersAroundTheWrap(t *testing.T) {
	forms(t, "multiStatements=true&allowAllFiles=true", func(t *testing.T, db *sql.DB, _ *kit.Collector, server *mysqltest.Instance) {
		// Count, definition, rows, end: the end has number rows+3.
		for _, rows := range []int{250, 251, 252, 253, 254, 255, 506, 507, 508, 509} {
			for _, tail := range []string{"", "; SELECT 1", "; DO 1", "; SELECT 1; DO 1; " + numbers(260)} {
				got, err := all(db.Query(numbers(rows) + tail))
				if err != nil || !strings.Contains(got, fmt.Sprintf(" %d", rows)) {
					t.Fatalf("%d rows%s: %v", rows, tail, err)
				}
			}
			if got, err := all(db.Query(numbers(rows)+" WHERE n > ?", 0)); err != nil || !strings.HasSuffix(got, fmt.Sprintf(" %d", rows)) {
				t.Fatalf("%d rows of a statement: %v", rows, err)
			}
		}
		if _, err := db.Exec("CREATE TEMPORARY TABLE uploaded (n INT)"); err != nil {
			t.Fatal(err)
		}
		for _, packets := range []int{1, 252, 253, 254, 255, 256, 600} {
			mysql.RegisterReaderHandler("numbered", func() io.Reader { return &pieces{left: packets} })
			res, err := db.Exec("LOAD DATA LOCAL INFILE 'Reader::numbered' INTO TABLE uploaded")
			if err != nil {
				t.Fatalf("%d packets: %v", packets, err)
			}
			if n, _ := res.RowsAffected(); n != int64(packets) {
				t.Errorf("%d packets: %d rows", packets, n)
			}
		}
	})
}

// pieces is a file of one row a Read, each of which becomes a packet.
type pieces struct{ left int }

func (p *pieces) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	p.left--
	return copy(b, "1\n"), nil
}

// Number 31 of the reports: an ERR behind definitions, among rows, and behind a
// whole result, of text and of a statement.
func TestErrorsInsideAnswers(t *testing.T) {
	forms(t, "", func(t *testing.T, db *sql.DB, _ *kit.Collector, server *mysqltest.Instance) {
		for _, q := range []string{
			"DROP PROCEDURE IF EXISTS select_and_signal",
			"CREATE PROCEDURE select_and_signal(n INT) BEGIN SELECT n; SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30001; END",
		} {
			if _, err := db.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		late := "SET STATEMENT max_statement_time=0.05 FOR SELECT COUNT(*) FROM information_schema.COLUMNS a, information_schema.COLUMNS b, information_schema.COLUMNS c WHERE a.TABLE_NAME <> ?"
		code := uint16(1969)
		if server.Kind == mysqltest.MySQL {
			late = "SELECT /*+ MAX_EXECUTION_TIME(50) */ COUNT(*) FROM information_schema.COLUMNS a, information_schema.COLUMNS b, information_schema.COLUMNS c WHERE a.TABLE_NAME <> ?"
			code = 3024
		}
		for range 2 {
			for _, tt := range []struct {
				query string
				args  []any
				code  uint16
			}{
				{late, []any{"x"}, code},
				{strings.Replace(late, "?", "'x'", 1), nil, code},
				{"CALL select_and_signal(?)", []any{1}, 30001},
				{"CALL select_and_signal(1)", nil, 30001},
				{strings.Replace(numbers(600), "SELECT n FROM", "SELECT EXP(n*2) FROM", 1), nil, 1690},
				{strings.Replace(numbers(600), "SELECT n FROM", "SELECT EXP(n*?) FROM", 1), []any{2}, 1690},
			} {
				_, err := all(db.Query(tt.query, tt.args...))
				kit.WantServerError(t, err, tt.code)
				var one int
				if err := db.QueryRow("SELECT 1").Scan(&one); err != nil || one != 1 {
					t.Fatalf("behind %q: %v", tt.query, err)
				}
			}
		}
	})
}

// Number 34 of the reports: values around 16 MiB, compressed too.
func TestValuesAround16MiB(t *testing.T) {
	sizes := []int{1<<24 - 10, 1<<24 - 6, 1<<24 - 5, 1<<24 - 1, 1 << 24, 33 << 20}
	if testing.Short() {
		sizes = sizes[3:4]
	}
	forms(t, "", func(t *testing.T, db *sql.DB, _ *kit.Collector, server *mysqltest.Instance) {
		for _, n := range sizes {
			var got int
			var value []byte
			if err := db.QueryRow(fmt.Sprintf("SELECT REPEAT('x', %d)", n)).Scan(&value); err != nil || len(value) != n {
				t.Fatalf("%d bytes: %d, %v", n, len(value), err)
			}
			if err := db.QueryRow("SELECT LENGTH(?)", value).Scan(&got); err != nil || got != n {
				t.Fatalf("%d bytes of a statement: %d, %v", n, got, err)
			}
		}
	})
}
