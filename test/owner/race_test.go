package owner_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestRawRace has two goroutines use one connection at once, 10,000 times in all (1,000 with -race or -short). With the plain
// driver 964 of 7,400 trials ended "commands out of sync", 112 never ended, and one got the other's rows.
func TestRawRace(t *testing.T) {
	trials := 2500 // on each of 4 connections
	if mysqltest.Race || testing.Short() {
		trials = 250
	}
	forOwner(t, func(t *testing.T, dsn func(string) string) {
		db, reports := kit.Open(t, dsn(""), nil)
		c := kit.Pin(t, db)
		step := kit.Watchdog(t)
		race := &rawRace{}
		kit.Raw(t, c, func(rc kit.RawConn) {
			for trial := range trials {
				step()
				race.trial(rc, int64(trial))
				if !rc.IsValid() {
					t.Fatalf("trial %d: the connection is not valid any more", trial)
				}
			}
		})
		for _, err := range race.failures {
			t.Error(err)
		}
		t.Logf("%d trials: %d operations went through with %d rows of their own, %d were refused", trials, race.answered.Load(), race.rows.Load(), race.refused.Load())
		if n := len(reports.All()); n != int(race.refused.Load()) {
			t.Errorf("%d reports of %d refusals", n, race.refused.Load())
		}
		if min := int64(trials / 10); race.refused.Load() < min {
			t.Errorf("%d refusals: the goroutines hardly met", race.refused.Load())
		}
		// The same connection goes on as if nothing had been.
		var one int
		if err := c.QueryRowContext(kit.Timeout(t, 10*time.Second), "SELECT 1").Scan(&one); err != nil || one != 1 {
			t.Errorf("after all: %d, %v", one, err)
		}
	})
}

type rawRace struct {
	answered, rows, refused atomic.Int64

	mu       sync.Mutex
	failures []error
}

func (r *rawRace) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failures) < 10 {
		r.failures = append(r.failures, err)
	}
}

func (r *rawRace) trial(c kit.RawConn, trial int64) {
	start := make(chan struct{})
	var both sync.WaitGroup
	for side := range int64(2) {
		nonce := trial*2 + side
		use := rawUses[rand.IntN(len(rawUses))]
		spin := rand.IntN(300)
		both.Go(func() {
			<-start
			for range spin {
				_ = time.Now()
			}
			r.settle(use(r, c, nonce))
		})
	}
	close(start)
	both.Wait()
}

func (r *rawRace) settle(err error) {
	var oe *seqguard.OwnershipError
	switch {
	case err == nil:
		r.answered.Add(1)
	case errors.As(err, &oe):
		r.refused.Add(1)
		if err := refusal(err, "owner/race_test.go"); err != nil {
			r.fail(err)
		}
	default:
		r.fail(fmt.Errorf("neither right nor refused: %w", err))
	}
}

// raceQuery makes 5 rows of a number, the last of them late.
const raceQuery = "SELECT %[1]d UNION ALL SELECT %[1]d UNION ALL SELECT %[1]d UNION ALL SELECT %[1]d UNION ALL SELECT SLEEP(0.0002) + %[1]d"

var rawUses = []func(r *rawRace, c kit.RawConn, nonce int64) error{
	func(r *rawRace, c kit.RawConn, nonce int64) error {
		rows, err := c.QueryContext(context.Background(), fmt.Sprintf(raceQuery, nonce), nil)
		if err != nil {
			return err
		}
		r.readAll(rows, nonce)
		return nil
	},
	func(r *rawRace, c kit.RawConn, nonce int64) error {
		s, err := c.PrepareContext(context.Background(), "SELECT ? UNION ALL SELECT ? UNION ALL SELECT ? UNION ALL SELECT ? UNION ALL SELECT ?")
		if err != nil {
			return err
		}
		defer closeRefused(r, s)
		var args []driver.NamedValue
		for i := range 5 {
			args = append(args, driver.NamedValue{Ordinal: i + 1, Value: nonce})
		}
		rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), args)
		if err != nil {
			return err
		}
		r.readAll(rows, nonce)
		return nil
	},
	func(r *rawRace, c kit.RawConn, _ int64) error {
		_, err := c.ExecContext(context.Background(), "DO SLEEP(0.0002)", nil)
		return err
	},
	func(r *rawRace, c kit.RawConn, _ int64) error { return c.Ping(context.Background()) },
	func(r *rawRace, c kit.RawConn, _ int64) error {
		tx, err := c.BeginTx(context.Background(), driver.TxOptions{})
		if err != nil {
			return err
		}
		for {
			err := tx.Rollback()
			var oe *seqguard.OwnershipError
			if !errors.As(err, &oe) {
				return err
			}
			r.refused.Add(1)
		}
	},
}

// closeRefused closes a statement, as often as the other goroutine makes it necessary.
func closeRefused(r *rawRace, s driver.Stmt) {
	for {
		err := s.Close()
		var oe *seqguard.OwnershipError
		if !errors.As(err, &oe) {
			if err != nil {
				r.fail(fmt.Errorf("closing a statement: %w", err))
			}
			return
		}
		r.refused.Add(1)
	}
}

// readAll reads the 5 rows of the owner: nobody may take one away, put another in, or keep it from its end.
func (r *rawRace) readAll(rows driver.Rows, nonce int64) {
	defer func() {
		if err := rows.Close(); err != nil {
			r.fail(fmt.Errorf("closing the owner's rows: %w", err))
		}
	}()
	dest := make([]driver.Value, 1)
	n := 0
	for ; ; n++ {
		err := rows.Next(dest)
		if err == io.EOF {
			break
		}
		if err != nil {
			r.fail(fmt.Errorf("the owner lost its rows: %w", err))
			return
		}
		got := fmt.Sprint(dest[0])
		if b, ok := dest[0].([]byte); ok {
			got = string(b)
		}
		if got != fmt.Sprint(nonce) {
			r.fail(fmt.Errorf("CROSSED: asked for %d, got %s", nonce, got))
		}
	}
	if n != 5 {
		r.fail(fmt.Errorf("the owner got %d rows of 5", n))
	}
	r.rows.Add(int64(n))
}
