package owner_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// TestLoadDataReaderFails: the driver ends an upload whose reader failed like one that is complete, and returns the reader's error
// alone. The server has committed what it got, and the error has to say so.
func TestLoadDataReaderFails(t *testing.T) {
	const rows = 10
	mysql.RegisterReaderHandler("owner_infile", func() io.Reader {
		return io.MultiReader(strings.NewReader(strings.Repeat("7\n", rows)), kit.FailingReader{})
	})
	mysql.RegisterReaderHandler("owner_infile_at_once", func() io.Reader { return kit.FailingReader{} })
	mysql.RegisterReaderHandler("owner_infile_whole", func() io.Reader { return strings.NewReader(strings.Repeat("8\n", rows)) })
	for _, name := range []string{"owner_infile", "owner_infile_at_once", "owner_infile_whole"} {
		t.Cleanup(func() { mysql.DeregisterReaderHandler(name) })
	}
	for _, mode := range []seqguard.Mode{seqguard.Enforce, seqguard.Observe} {
		t.Run(mode.String(), func(t *testing.T) {
			forOwner(t, func(t *testing.T, dsn func(string) string) {
				db, reports := kit.Open(t, dsn(""), nil, seqguard.WithMode(mode))
				c := kit.Pin(t, db)
				ctx := kit.Timeout(t, 20*time.Second)
				exec := func(q string) error {
					_, err := c.ExecContext(ctx, q)
					return err
				}
				load := func(reader string) error {
					return exec("LOAD DATA LOCAL INFILE 'Reader::" + reader + "' INTO TABLE owner_infile")
				}
				var id, after, count int
				ask := func(q string, into *int) {
					t.Helper()
					if err := c.QueryRowContext(ctx, q).Scan(into); err != nil {
						t.Fatal(err)
					}
				}
				for _, q := range []string{"DROP TABLE IF EXISTS owner_infile", "CREATE TABLE owner_infile (v int)"} {
					if err := exec(q); err != nil {
						t.Fatal(err)
					}
				}
				ask("SELECT CONNECTION_ID()", &id)

				err := load("owner_infile")
				if !errors.Is(err, kit.ErrDisk) || errors.Is(err, driver.ErrBadConn) {
					t.Errorf("the reader's error: %v", err)
				}
				var pe *seqguard.ProtocolError
				if mode == seqguard.Observe {
					if err != kit.ErrDisk {
						t.Errorf("not the driver's own error: %v", err)
					}
				} else if !errors.As(err, &pe) || pe.ErrorType() != "local_infile_partial" {
					t.Errorf("the error does not tell of the part: %v", err)
				}
				ask("SELECT COUNT(*) FROM owner_infile", &count)
				if count != rows {
					t.Errorf("%d rows are in the table, the reader gave %d", count, rows)
				}
				if r := reports.Only(t); r.Cause.Slug != "local_infile_partial" {
					t.Errorf("reported: %s", r)
				}

				// Nothing was loaded, so there is nothing to tell; nor is there when all was.
				if err := load("owner_infile_at_once"); err != kit.ErrDisk {
					t.Errorf("reader that fails at once: %v", err)
				}
				if err := load("none"); err == nil || errors.As(err, &pe) {
					t.Errorf("reader that is not registered: %v", err)
				}
				if err := load("owner_infile_whole"); err != nil {
					t.Errorf("a whole file: %v", err)
				}
				// An error that has nothing to do with the file comes behind it.
				var me *mysql.MySQLError
				if err := exec(noTable); !errors.As(err, &me) || errors.As(err, &pe) {
					t.Errorf("missing table: %v", err)
				}
				ask("SELECT COUNT(*) FROM owner_infile", &count)
				if count != 2*rows {
					t.Errorf("%d rows", count)
				}
				if ask("SELECT CONNECTION_ID()", &after); after != id {
					t.Errorf("connection %d became %d", id, after)
				}
				reports.Only(t)
				kit.Raw(t, c, func(rc kit.RawConn) {
					if !rc.IsValid() {
						t.Error("the connection is not valid any more")
					}
					if err := rc.ResetSession(context.Background()); err != nil {
						t.Error(err)
					}
				})
			})
		})
	}
}

// busybody is an error whose text asks the guard how its connections are doing.
type busybody struct{}

func (busybody) Error() string {
	list, _ := wrapconn.Connections("", 0)
	return fmt.Sprintf("%d connections are open", len(list))
}

func (busybody) Read([]byte) (int, error) { return 0, busybody{} }

// The text of a reader's error is the application's code: no lock of the guard's is held while it is made.
func TestLoadDataReadersErrorLooksAround(t *testing.T) {
	mysql.RegisterReaderHandler("owner_busybody", func() io.Reader { return io.MultiReader(strings.NewReader("7\n"), busybody{}) })
	t.Cleanup(func() { mysql.DeregisterReaderHandler("owner_busybody") })
	forOwner(t, func(t *testing.T, dsn func(string) string) {
		db, reports := kit.Open(t, dsn(""), nil)
		ctx := kit.Timeout(t, 20*time.Second)
		c := kit.Pin(t, db)
		for _, q := range []string{"DROP TABLE IF EXISTS owner_busybody", "CREATE TABLE owner_busybody (v int)"} {
			if _, err := c.ExecContext(ctx, q); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		go func() {
			_, err := c.ExecContext(ctx, "LOAD DATA LOCAL INFILE 'Reader::owner_busybody' INTO TABLE owner_busybody")
			done <- err
		}()
		select {
		case err := <-done:
			if !errors.As(err, new(busybody)) {
				t.Errorf("not the reader's error: %v", err)
			}
		case <-time.After(15 * time.Second):
			t.Fatal("the text of an error was asked for under a lock")
		}
		if r := reports.Only(t); r.Cause.Slug != "local_infile_partial" || !strings.Contains(r.Cause.Explanation, "connections are open") {
			t.Errorf("%s: %s", r.Cause.Slug, r.Cause.Explanation)
		}
	})
}
