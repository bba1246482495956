package causes_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// TestCausesWithTheSameNumbers tells causes apart that show the same two numbers, a hundred times each. Every failure has a server
// name of its own: a hundred that fail within a second of one server would rightly be called a failover.
func TestCausesWithTheSameNumbers(t *testing.T) {
	const times = 100
	ok := mysqltest.GreetingOptions{}
	behind := func(seq int, code uint16) []mysqltest.Step {
		return []mysqltest.Step{mysqltest.Login(ok), mysqltest.ExpectPacket(), mysqltest.SendERR(seq, code, "HY000", "words"), mysqltest.Close()}
	}
	login := func(steps ...mysqltest.Step) []mysqltest.Step {
		return append([]mysqltest.Step{mysqltest.Greeting(ok)}, steps...)
	}
	refusal := func(code uint16) mysqltest.Step { return mysqltest.SendERR(1, code, "08S01", "words") }
	for _, c := range []struct {
		name    string
		want    cause.Slug
		got     uint8
		due     uint8
		stalled time.Duration // this process, in front of the login
		steps   []mysqltest.Step
	}{
		{"1 and 2, a stall of this process", "login_stalled_locally", 1, 2, 2500 * time.Millisecond, login(mysqltest.Delay(2*time.Second), refusal(1159))},
		{"1 and 2, a login held on the way", "login_delayed_on_the_way", 1, 2, 0, login(mysqltest.ExpectLogin(), mysqltest.Delay(waited), refusal(1159))},
		{"1 and 2, a proxy's own ERR", "proxy_refusal_misnumbered", 1, 2, 0, login(mysqltest.ExpectLogin(), refusal(1105))},
		{"1 and 2, a proxy's own ERR behind a stall", "proxy_refusal_misnumbered", 1, 2, 2500 * time.Millisecond, login(mysqltest.ExpectLogin(), refusal(1105))},
		{"1 and 2, packets out of order", "renumbered_on_the_way", 1, 2, 0, login(mysqltest.ExpectLogin(), refusal(1156))},
		{"1 and 2, a read error", "login_unreadable", 1, 2, 0, login(mysqltest.ExpectLogin(), refusal(1158))},
		{"1 and 2, a miscounting server", "peer_misnumbers_handshake", 1, 2, 0, login(mysqltest.ExpectLogin(), refusal(1045))},
		{"0 and 1, idle for too long", "idle_timeout", 0, 1, 0, behind(0, 4031)},
		{"0 and 1, a shutdown", "server_shutdown", 0, 1, 0, behind(0, 1053)},
		{"0 and 1, a kill", "connection_killed", 0, 1, 0, behind(0, 1927)},
		{"2 and 1, idle for too long, through MySQL Router", "idle_timeout", 2, 1, 0, behind(2, 4031)},
		{"2 and 1, a miscounting server", "peer_misnumbers_results", 2, 1, 0, behind(2, 1064)},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := mysqltest.ServeEvery(t, c.steps...)
			var mu sync.Mutex
			named := map[string]int{}
			var all sync.WaitGroup
			for i := range times {
				all.Go(func() {
					what := confusing(server.Addr, fmt.Sprintf("%s-%d.test:3306", c.want, i), c.stalled, c.got, c.due)
					mu.Lock()
					defer mu.Unlock()
					named[what]++
				})
			}
			all.Wait()
			if named[string(c.want)] != times {
				t.Errorf("named %v, want %s %d times", named, c.want, times)
			}
		})
	}
}

// confusing makes one connection, with a command on it if the login succeeds, and returns the cause that its error names.
func confusing(addr, host string, stalled time.Duration, got, due uint8) string {
	cfg, _ := mysql.ParseDSN("u:p@tcp(" + addr + ")/")
	cfg.Logger = &mysql.NopLogger{}
	renamed(cfg, addr, host, func(cfg *mysql.Config) {
		if stalled > 0 {
			kit.Stall(cfg, 1, stalled)
		}
	})
	connector, err := seqguard.NewConnector(cfg)
	if err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	c, err := connector.Connect(ctx)
	if err == nil {
		defer c.Close()
		_, err = c.(driver.ExecerContext).ExecContext(ctx, "DO 1", nil)
	}
	var pe *seqguard.ProtocolError
	if !errors.As(err, &pe) {
		return fmt.Sprintf("no report: %v", err)
	}
	if e := pe.Report.Evidence; e.Actual != got || e.Expected != due {
		return fmt.Sprintf("numbers %d and %d", e.Actual, e.Expected)
	}
	return string(pe.Report.Cause.Slug)
}
