package causes_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// A server that is silent and then dies is no reader that was slow.
func TestFault3_05SilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := mysqltest.Do("silent, then half a row", func(s *mysqltest.Session) error {
			_ = s.WritePacket(mysqltest.Next, []byte{1})
			_ = s.WritePacket(mysqltest.Next, mysqltest.ColumnPayload(mysqltest.Column{Name: "v"}))
			_ = s.WritePacket(mysqltest.Next, mysqltest.TextRowPayload("first"))
			time.Sleep(1300 * time.Millisecond)
			row := mysqltest.Packet(s.Seq+1, mysqltest.TextRowPayload(strings.Repeat("x", 200_000)))
			return s.WriteRaw(row[:100_000])
		})
		cfg := mysql.NewConfig()
		cfg.User, cfg.Net, cfg.Addr, cfg.Logger = "u", "tcp", "silent:3306", &mysql.NopLogger{}
		db, c := kit.OpenPipe(t, cfg, mysqltest.Pipe(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ExpectPacket(), cut))
		defer db.Close()
		err := toEnd(db.QueryContext(t.Context(), "SELECT 1"))
		r := kit.WantCause(t, err, c, "connection_lost_mid_answer")
		if gap := r.Evidence.LongestReadGap; gap != 0 {
			t.Errorf("a pause of %v is counted as this side's", gap)
		}
	})
}
