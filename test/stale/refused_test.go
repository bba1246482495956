package stale_test

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
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

// refuses is a server that begins its answer to a LOAD DATA LOCAL, and sends the request for the file, numbered at, the refusal and its end in one piece. The
// pool's reader waits for all of that.
func refuses(t *testing.T, secure bool, begin mysqltest.Step, at, refusal byte, opts ...seqguard.Option) (db *sql.DB, reports *kit.Collector, loads *atomic.Int32) {
	const reader = "refused_at_once"
	sockets := new(kit.Sockets)
	mysql.RegisterReaderHandler(reader, func() io.Reader {
		return &lateFile{Reader: strings.NewReader(strings.Repeat("7\n", 500_000)), sockets: sockets}
	})
	t.Cleanup(func() { mysql.DeregisterReaderHandler(reader) })
	loads = new(atomic.Int32)
	db, reports = kit.ScriptedSockets(t, secure, sockets, mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
		if !strings.Contains(string(body), "LOAD") {
			return mysqltest.AnswerOK(s, cmd, body)
		}
		loads.Add(1)
		if err := begin.Run(s); err != nil {
			return err
		}
		b := mysqltest.Packet(at, []byte("\xfbReader::"+reader))
		b = append(b, mysqltest.Packet(refusal, mysqltest.ERRPayload(1159, "08S01", "Got timeout reading communication packets"))...)
		if err := s.WriteRaw(b); err != nil {
			return err
		}
		return s.Conn.Close()
	}), opts...)
	return db, reports, loads
}

const loadRefused = "LOAD DATA LOCAL INFILE 'Reader::refused_at_once' INTO TABLE t"

// inserted is the answer to an INSERT in front of it.
var inserted = mysqltest.SendPacket(1, mysqltest.OKPayload(1, 0, mysqltest.StatusAutocommit|mysqltest.StatusMoreResults, 0))

// wantInterrupted wants the refusal in err, and that nothing says that the statements were not executed.
func wantInterrupted(t *testing.T, err error, reports *kit.Collector) {
	t.Helper()
	if err == nil || errors.Is(err, driver.ErrBadConn) {
		t.Errorf("%v, which database/sql may run again", err)
	}
	r := kit.WantCause(t, err, reports, "upload_interrupted")
	if r.Cause.RetrySafe || r.Cause.Executed != cause.ExecutedUnknown || !strings.Contains(r.Cause.Explanation, "1159") {
		t.Errorf("%+v", r.Cause)
	}
}

// TestFileRefusedAtOnce: a client that sleeps for longer than net_read_timeout meets the server's request for the file, its ERR 1159 and
// the end of the connection in one piece. What it writes then is the file, and no command that database/sql may run a second time: of
// several statements the first have been executed. The plain driver returns driver.ErrBadConn (findings/gosqldriver-load-data-again.sh).
func TestFileRefusedAtOnce(t *testing.T) {
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		for i, number := range []byte{3, 3, 9} { // of the ERR; 3 is due
			held := i == 1
			t.Run(fmt.Sprintf("held=%t number=%d", held, number), func(t *testing.T) {
				db, reports, loads := refuses(t, secure, inserted, 2, number)
				exec := db.ExecContext
				if held {
					exec = kit.Pin(t, db).ExecContext
				}
				_, err := exec(kit.Timeout(t, 30*time.Second), "INSERT INTO t VALUES (1); "+loadRefused)
				if n := loads.Load(); n != 1 {
					t.Errorf("the statements came to the server %d times", n)
				}
				wantInterrupted(t, err, reports)
			})
		}
	})
}

// TestNextFileRefusedAtOnce is TestFileRefusedAtOnce where the request for the file comes behind a result, so that the driver meets it while it
// goes on to the next one, or while it closes the rows.
func TestNextFileRefusedAtOnce(t *testing.T) {
	begin := mysqltest.SendResultSetMore(1, []mysqltest.Column{{Name: "v"}}, []any{"1"})
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		for i, how := range []string{"next", "close", "next", "close"} {
			number := []byte{6, 6, 10, 10}[i] // of the ERR; 6 is due
			t.Run(fmt.Sprintf("%s number=%d", how, number), func(t *testing.T) {
				db, reports, _ := refuses(t, secure, begin, 5, number)
				rows, err := db.QueryContext(kit.Timeout(t, 30*time.Second), "SELECT f(1); "+loadRefused)
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
				var pe *seqguard.ProtocolError
				if !errors.As(err, &pe) {
					t.Errorf("no report in %v", err)
				}
				wantInterrupted(t, err, reports)
			})
		}
	})
}

// TestFileRefusedUnseen: where the packets are not seen, a write that fails may be the file of a LOAD DATA LOCAL, and statements in front of
// it may have been executed. It is, at least, no command of which nothing was sent: the server has answered within this operation.
func TestFileRefusedUnseen(t *testing.T) {
	db, reports, _ := refuses(t, true, inserted, 2, 3, seqguard.WithTLSView(false))
	_, err := db.ExecContext(kit.Timeout(t, 30*time.Second), "INSERT INTO t VALUES (1); "+loadRefused)
	r := kit.WantCause(t, err, reports, "connection_lost_mid_answer")
	if r.Cause.RetrySafe || r.Cause.Executed != cause.ExecutedUnknown || r.Evidence.Unsent == 0 {
		t.Errorf("%+v, unsent %d", r.Cause, r.Evidence.Unsent)
	}
}
