package stale_test

import (
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

// TestFileRefusedUnseen: where the packets are not seen, a write that fails may be the file of a LOAD DATA LOCAL, and statements in front of
// it may have been executed. It is, at least, no command of which nothing was sent: the server has answered within this operation.
func TestFileRefusedUnseen(t *testing.T) {
	sockets := new(kit.Sockets)
	mysql.RegisterReaderHandler("refused_unseen", func() io.Reader {
		return &lateFile{Reader: strings.NewReader(strings.Repeat("7\n", 500_000)), sockets: sockets}
	})
	defer mysql.DeregisterReaderHandler("refused_unseen")
	db, reports := kit.ScriptedSockets(t, true, sockets, mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
		if !strings.Contains(string(body), "LOAD") {
			return mysqltest.AnswerOK(s, cmd, body)
		}
		b := mysqltest.Packet(1, mysqltest.OKPayload(1, 0, mysqltest.StatusAutocommit|mysqltest.StatusMoreResults, 0))
		b = append(b, mysqltest.Packet(2, []byte("\xfbReader::refused_unseen"))...)
		b = append(b, mysqltest.Packet(3, mysqltest.ERRPayload(1159, "08S01", "Got timeout reading communication packets"))...)
		if err := s.WriteRaw(b); err != nil {
			return err
		}
		return s.Conn.Close()
	}), seqguard.WithTLSView(false))
	_, err := db.ExecContext(kit.Timeout(t, 30*time.Second), "INSERT INTO t VALUES (1); LOAD DATA LOCAL INFILE 'Reader::refused_unseen' INTO TABLE t")
	r := kit.WantCause(t, err, reports, "connection_lost_mid_answer")
	if r.Cause.RetrySafe || r.Cause.Executed != cause.ExecutedUnknown || r.Evidence.Unsent == 0 {
		t.Errorf("%+v, unsent %d", r.Cause, r.Evidence.Unsent)
	}
}
