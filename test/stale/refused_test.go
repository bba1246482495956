package stale_test

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// lateFile is a file of many lines, whose reader waits for the end of the connection.
type lateFile struct {
	io.Reader
	sockets *kit.Sockets
	waited  bool
}

func (f *lateFile) Read(p []byte) (int, error) {
	if !f.waited {
		f.waited = true
		f.sockets.AwaitFor(10 * time.Second)
	}
	return f.Reader.Read(p)
}

// TestFileRefusedAtOnce: a client that sleeps for longer than net_read_timeout meets the server's request for the file, its ERR 1159 and
// the end of the connection in one piece. What it writes then is the file, and no command that database/sql may run a second time: of
// several statements the first have been executed. The plain driver returns driver.ErrBadConn (findings/gosqldriver-load-data-again.sh).
func TestFileRefusedAtOnce(t *testing.T) {
	const words = "Got timeout reading communication packets"
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		for i, number := range []byte{3, 3, 9} { // of the ERR; 3 is due
			held := i == 1
			t.Run(fmt.Sprintf("held=%t number=%d", held, number), func(t *testing.T) {
				var loads atomic.Int32
				sockets := new(kit.Sockets)
				mysql.RegisterReaderHandler("refused_at_once", func() io.Reader {
					return &lateFile{Reader: strings.NewReader(strings.Repeat("7\n", 500_000)), sockets: sockets}
				})
				defer mysql.DeregisterReaderHandler("refused_at_once")
				db, reports := kit.ScriptedSockets(t, secure, sockets, mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
					if !strings.Contains(string(body), "LOAD") {
						return mysqltest.AnswerOK(s, cmd, body)
					}
					loads.Add(1)
					b := mysqltest.Packet(1, mysqltest.OKPayload(1, 0, mysqltest.StatusAutocommit|mysqltest.StatusMoreResults, 0))
					b = append(b, mysqltest.Packet(2, []byte("\xfbReader::refused_at_once"))...)
					b = append(b, mysqltest.Packet(number, mysqltest.ERRPayload(1159, "08S01", words))...)
					if err := s.WriteRaw(b); err != nil {
						return err
					}
					return s.Conn.Close()
				}))
				ctx := kit.Timeout(t, 30*time.Second)
				const load = "INSERT INTO t VALUES (1); LOAD DATA LOCAL INFILE 'Reader::refused_at_once' INTO TABLE t"
				var err error
				if held {
					_, err = kit.Pin(t, db).ExecContext(ctx, load)
				} else {
					_, err = db.ExecContext(ctx, load)
				}
				if err == nil || errors.Is(err, driver.ErrBadConn) {
					t.Errorf("%v, which database/sql may run again", err)
				}
				if n := loads.Load(); n != 1 {
					t.Errorf("the statements came to the server %d times", n)
				}
				r := kit.WantCause(t, err, reports, "upload_interrupted")
				if r.Cause.RetrySafe || r.Cause.Executed != cause.ExecutedUnknown || !strings.Contains(r.Cause.Explanation, "1159") {
					t.Errorf("%+v", r.Cause)
				}
			})
		}
	})
}
