package stale_test

import (
	"context"
	"database/sql"
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
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// waitingReader is a file that cannot be read, which shows only when the server has sent all.
type waitingReader struct{ reading, sent chan struct{} }

func (r waitingReader) Read([]byte) (int, error) {
	r.reading <- struct{}{}
	<-r.sent
	return 0, kit.ErrDisk
}

// TestStaleBehindFile: when the reader of a LOAD DATA LOCAL fails, go-sql-driver reads one packet behind the file and gives up the
// results of the statements that follow. In TLS they may have been read from the socket already, and lie in crypto/tls: neither a look
// into the socket nor the driver's buffer shows them, and the next query would get them.
func TestStaleBehindFile(t *testing.T) {
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		for i, how := range []string{"exec", "query", "further statement", "next result", "exec", "query", "further statement", "next result"} {
			held := i < 4
			t.Run(fmt.Sprintf("%s held=%t", how, held), func(t *testing.T) {
				reading, sent := make(chan struct{}, 1), make(chan struct{}, 1)
				mysql.RegisterReaderHandler("stale_behind_file", func() io.Reader { return waitingReader{reading, sent} })
				defer mysql.DeregisterReaderHandler("stale_behind_file")
				db, reports := kit.Scripted(t, secure, fileThenResults(reading, sent))
				ctx := kit.Timeout(t, 20*time.Second)
				c, err := db.Conn(ctx)
				if err != nil {
					t.Fatal(err)
				}
				const load = "LOAD DATA LOCAL INFILE 'Reader::stale_behind_file' INTO TABLE t; SELECT 4711"
				switch how {
				case "exec":
					_, err = c.ExecContext(ctx, load)
				case "query":
					_, err = c.QueryContext(ctx, load)
				case "further statement":
					_, err = c.ExecContext(ctx, "DO 1; "+load)
				case "next result":
					rows, err2 := c.QueryContext(ctx, "SELECT 1; "+load)
					if err2 != nil {
						t.Fatal(err2)
					}
					rows.NextResultSet()
					err = rows.Err()
					_ = rows.Close()
				}
				if err == nil || !strings.Contains(err.Error(), kit.ErrDisk.Error()) {
					t.Errorf("%v, want the reader's error", err)
				}
				var got int
				if held {
					if err := c.QueryRowContext(ctx, "SELECT 5").Scan(&got); !errors.Is(err, driver.ErrBadConn) && !errors.Is(err, mysql.ErrBusyBuffer) {
						t.Errorf("the holder of the connection asked for 5 and got %d, %v; want a refusal before anything is written", got, err)
					}
				}
				_ = c.Close()
				if err := db.QueryRowContext(context.Background(), "SELECT 5").Scan(&got); err != nil || got != 5 {
					t.Errorf("the pool was asked for 5 and gave %d, %v", got, err)
				}
				_ = db.Close()
				if r := reports.Only(t); r.Cause.Slug != "local_infile_partial" || r.Cause.RetrySafe {
					t.Errorf("%+v", r)
				}
			})
		}
	})
}

// fileThenResults asks for a file, and sends the result of a further statement behind it.
func fileThenResults(reading <-chan struct{}, sent chan<- struct{}) mysqltest.Step {
	return mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
		if !strings.Contains(string(body), "LOAD") {
			return mysqltest.SendResultSet(mysqltest.Next, []mysqltest.Column{{Name: "v"}}, []any{"5"}).Run(s)
		}
		var at byte
		switch {
		case strings.HasPrefix(string(body), "DO"):
			at = 1
			if err := s.WritePacket(1, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit|mysqltest.StatusMoreResults, 0)); err != nil {
				return err
			}
		case strings.HasPrefix(string(body), "SELECT"):
			at = 4
			if err := mysqltest.SendResultSetMore(1, []mysqltest.Column{{Name: "v"}}, []any{"1"}).Run(s); err != nil {
				return err
			}
		}
		if err := s.WritePacket(int(at)+1, []byte("\xfbReader::stale_behind_file")); err != nil {
			return err
		}
		<-reading
		ok := mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit|mysqltest.StatusMoreResults, 0)
		if err := s.WritePacket(int(at)+3, ok); err != nil {
			return err
		}
		rest := resultSet("4711") // in a record of its own
		for p := rest; len(p) > 0; p = p[4+int(p[0]):] {
			p[3] += at + 3
		}
		if err := s.WriteRaw(rest); err != nil {
			return err
		}
		sent <- struct{}{}
		return s.ReadPacket()
	})
}

// TestStaleBehindFileUnseen is TestStaleBehindFile where nobody sees that there was a file.
func TestStaleBehindFileUnseen(t *testing.T) {
	for _, how := range []string{"exec", "next result"} {
		t.Run(how, func(t *testing.T) {
			reading, sent := make(chan struct{}, 1), make(chan struct{}, 1)
			mysql.RegisterReaderHandler("stale_behind_file", func() io.Reader { return waitingReader{reading, sent} })
			defer mysql.DeregisterReaderHandler("stale_behind_file")
			db, reports := kit.Scripted(t, true, fileThenResults(reading, sent), seqguard.WithTLSView(false))
			ctx := kit.Timeout(t, 20*time.Second)
			const load = "LOAD DATA LOCAL INFILE 'Reader::stale_behind_file' INTO TABLE t; SELECT 4711"
			var err error
			if how == "exec" {
				_, err = db.ExecContext(ctx, load)
			} else {
				var rows *sql.Rows
				if rows, err = db.QueryContext(ctx, "SELECT 1; "+load); err != nil {
					t.Fatal(err)
				}
				rows.NextResultSet()
				err = rows.Err()
				_ = rows.Close()
			}
			if !errors.Is(err, kit.ErrDisk) {
				t.Errorf("%v, want the reader's error", err)
			}
			var got int
			if err := db.QueryRowContext(ctx, "SELECT 5").Scan(&got); err != nil || got != 5 {
				t.Errorf("the pool was asked for 5 and gave %d, %v", got, err)
			}
			reports.None(t)
		})
	}
}
