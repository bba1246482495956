package grammar_test

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

func (w *watched) command(t *testing.T, payload string) {
	t.Helper()
	if _, err := w.Write(mysqltest.Packet(0, []byte(payload))); err != nil {
		t.Fatal(err)
	}
}

func (w *watched) seen(k session.Kind) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.packets {
		if p.Kind == k {
			n += p.Count
		}
	}
	return n
}

// dump is COM_BINLOG_DUMP of a file from its beginning.
func dump(wait bool, id uint32, file string) string {
	b := binary.LittleEndian.AppendUint32([]byte{0x12}, 4)
	flags := uint16(1) // BINLOG_DUMP_NON_BLOCK
	if wait {
		flags = 0
	}
	b = binary.LittleEndian.AppendUint16(b, flags)
	return string(binary.LittleEndian.AppendUint32(b, id)) + file
}

// B6: a replica, and a program that reads the binary log to its end, of real servers.
func TestBinlogDump(t *testing.T) {
	for _, name := range mysqltest.Names {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.Start(t, name, "--log-bin=binlog", "--server-id=1")
			db, _ := kit.Open(t, server.RootDSN(""), nil)
			var file string
			var rest any
			if err := scanSome(db.QueryRow, &file, &rest); err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				for _, q := range []string{"CREATE DATABASE dump%d", "DROP DATABASE dump%d"} {
					if _, err := db.Exec(fmt.Sprintf(q, i)); err != nil {
						t.Fatal(err)
					}
				}
			}

			w := watchAs(t, server.RootDSN(""), "", false)
			w.command(t, "\x03SET @master_binlog_checksum = 'CRC32'")
			w.answers(t, 1)
			w.command(t, dump(false, 0, file))
			w.answers(t, 2)
			if n := w.seen(session.KindEvent); n < 256 {
				t.Errorf("%d events", n)
			}
			w.talk.End(session.FromServer, cause.StreamEOF, nil, time.Since(w.start)) // it hangs up then
			if s := w.talk.State(); s.Counts != (conversation.Counts{}) || s.Findings != 0 || w.seen(session.KindEOF) != 1 {
				t.Errorf("%+v, %d findings, %d ends", s.Counts, s.Findings, w.seen(session.KindEOF))
			}

			// One that waits for more, and whose thread is killed.
			w = watchAs(t, server.RootDSN(""), "", false)
			w.command(t, "\x03SET @master_binlog_checksum = 'CRC32'")
			w.answers(t, 1)
			w.command(t, dump(true, 77, file))
			buf := make([]byte, 4096)
			for w.seen(session.KindEvent) < 256 {
				if _, err := w.Read(buf); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := db.Exec(fmt.Sprintf("KILL %d", w.talk.State().Connection)); err != nil {
				t.Fatal(err)
			}
			if err := w.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			var err error
			for err == nil {
				_, err = w.Read(buf)
			}
			w.talk.End(session.FromServer, cause.StreamEOF, err, time.Since(w.start))
			found := w.talk.Take()
			if len(found) != 1 || found[0].Evidence.Phase != session.PhaseEvents || found[0].Evidence.Violation != session.Truncated {
				t.Fatalf("%v: %+v", err, found)
			}
			if d := found[0].Diagnose(); d.Slug != "connection_lost_mid_answer" || !strings.Contains(d.Explanation, "binary log") {
				t.Errorf("%s: %s", d.Slug, d.Explanation)
			}
			if s := w.talk.State(); s.Counts != (conversation.Counts{}) {
				t.Errorf("%+v", s.Counts)
			}
		})
	}
}

// scanSome reads the first binary log's name, whatever else the row has.
func scanSome(query func(string, ...any) *sql.Row, file *string, rest *any) error {
	if err := query("SHOW BINARY LOGS").Scan(file, rest); err == nil {
		return nil
	}
	return query("SHOW BINARY LOGS").Scan(file, rest, rest)
}
