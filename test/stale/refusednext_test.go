package stale_test

import (
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
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// TestNextFileRefusedAtOnce is TestFileRefusedAtOnce where the request for the file comes behind a result, so that the driver meets it while it
// goes on to the next one, or while it closes the rows.
func TestNextFileRefusedAtOnce(t *testing.T) {
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		for i, how := range []string{"next", "close", "next", "close"} {
			number := []byte{5, 5, 9, 9}[i]
			t.Run(fmt.Sprintf("%s number=%d", how, number), func(t *testing.T) {
				sockets := new(kit.Sockets)
				mysql.RegisterReaderHandler("refused_next", func() io.Reader {
					return &lateFile{Reader: strings.NewReader(strings.Repeat("7\n", 500_000)), sockets: sockets}
				})
				defer mysql.DeregisterReaderHandler("refused_next")
				db, reports := kit.ScriptedSockets(t, secure, sockets, mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
					if !strings.Contains(string(body), "LOAD") {
						return mysqltest.AnswerOK(s, cmd, body)
					}
					if err := mysqltest.SendResultSetMore(1, []mysqltest.Column{{Name: "v"}}, []any{"1"}).Run(s); err != nil {
						return err
					}
					b := mysqltest.Packet(5, []byte("\xfbReader::refused_next"))
					b = append(b, mysqltest.Packet(number+1, mysqltest.ERRPayload(1159, "08S01", "Got timeout reading communication packets"))...)
					if err := s.WriteRaw(b); err != nil {
						return err
					}
					return s.Conn.Close()
				}))
				ctx := kit.Timeout(t, 30*time.Second)
				rows, err := db.QueryContext(ctx, "SELECT f(1); LOAD DATA LOCAL INFILE 'Reader::refused_next' INTO TABLE t")
				if err != nil {
					t.Fatal(err)
				}
				for rows.Next() {
				}
				if how == "next" {
					rows.NextResultSet()
					err = rows.Err()
					_ = rows.Close()
				} else {
					err = rows.Close()
				}
				if err == nil || errors.Is(err, driver.ErrBadConn) {
					t.Errorf("%v", err)
				}
				var pe *seqguard.ProtocolError
				if !errors.As(err, &pe) {
					t.Errorf("no report in %v", err)
				}
				r := kit.WantCause(t, err, reports, "upload_interrupted")
				if r.Cause.RetrySafe || r.Cause.Executed != cause.ExecutedUnknown || !strings.Contains(r.Cause.Explanation, "1159") {
					t.Errorf("%+v", r.Cause)
				}
			})
		}
	})
}
