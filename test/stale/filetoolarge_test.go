package stale_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// TestFilePacketTooLarge: where max_allowed_packet is below 16 KiB, a server refuses the first packet of a LOAD DATA LOCAL with ERR 1153 (MySQL
// 9.7, MariaDB 10.11 and 11.8). It is no refusal of the command: the statement in front has been run.
func TestFilePacketTooLarge(t *testing.T) {
	kit.PlainAndTLS(t, func(t *testing.T, secure bool) {
		for _, size := range []int{2, 500_000} { // of the file: sent whole, or not
			mysql.RegisterReaderHandler("file_too_large", func() io.Reader { return strings.NewReader(strings.Repeat("7\n", size/2)) })
			db, reports := kit.Scripted(t, secure, mysqltest.ServeForever(func(s *mysqltest.Session, cmd byte, body []byte) error {
				if !strings.Contains(string(body), "LOAD") {
					return mysqltest.AnswerOK(s, cmd, body)
				}
				b := mysqltest.Packet(1, mysqltest.OKPayload(1, 0, mysqltest.StatusAutocommit|mysqltest.StatusMoreResults, 0))
				if err := s.WriteRaw(append(b, mysqltest.Packet(2, []byte("\xfbReader::file_too_large"))...)); err != nil {
					return err
				}
				if err := s.ReadPacket(); err != nil {
					return err
				}
				if err := s.WritePacket(4, mysqltest.ERRPayload(1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes")); err != nil {
					return err
				}
				return s.Conn.Close()
			}))
			_, err := db.ExecContext(kit.Timeout(t, 30*time.Second), "INSERT INTO t VALUES (1); LOAD DATA LOCAL INFILE 'Reader::file_too_large' INTO TABLE t")
			mysql.DeregisterReaderHandler("file_too_large")
			r := kit.WantCause(t, err, reports, "packet_too_large")
			if r.Cause.RetrySafe || r.Cause.Executed != cause.ExecutedUnknown || !strings.Contains(r.Cause.Explanation, "file") {
				t.Errorf("%d bytes: %+v", size, r.Cause)
			}
		}
	})
}
