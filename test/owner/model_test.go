package owner_test

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"pgregory.net/rapid"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// modelServer counts commands, and answers the next one only when it is told to, if there is a gate.
type modelServer struct {
	commands atomic.Int64
	gate     atomic.Pointer[modelGate]
}

type modelGate struct{ arrived, open chan struct{} }

// answer: "Q rows sets" gets so many result sets of so many rows "set.row".
func (m *modelServer) answer(s *mysqltest.Session, cmd byte, body []byte) error {
	m.commands.Add(1)
	if g := m.gate.Swap(nil); g != nil {
		close(g.arrived)
		select {
		case <-g.open:
		case <-time.After(10 * time.Second):
			return errors.New("the gate did not open")
		}
	}
	switch {
	case cmd == mysqltest.ComStmtPrepare:
		ok := binary.LittleEndian.AppendUint32([]byte{0}, 1)
		return s.WritePacket(mysqltest.Next, append(ok, 0, 0, 0, 0, 0, 0, 0))
	case !strings.HasPrefix(string(body), "Q "):
		return mysqltest.AnswerOK(s, cmd, body)
	}
	var rows, sets int
	if _, err := fmt.Sscanf(string(body), "Q %d %d", &rows, &sets); err != nil {
		return err
	}
	for set := range sets {
		var data [][]any
		for row := range rows {
			data = append(data, []any{fmt.Sprintf("%d.%d", set, row)})
		}
		send := mysqltest.SendResultSetMore
		if set == sets-1 {
			send = mysqltest.SendResultSet
		}
		if err := send(mysqltest.Next, []mysqltest.Column{{Name: "v"}}, data...).Run(s); err != nil {
			return err
		}
	}
	return nil
}

// modelState is what the guard must know: who is inside, which result is out.
type modelState struct {
	held      wrapconn.OpKind // an operation waits for its answer in a goroutine
	gate      *modelGate
	result    chan error
	rows      driver.Rows // a result is out
	set, sets int
	row, max  int
	atEnd     bool // of the set
	sent      int64
	refused   int
}

// TestModelOfCalls makes random calls from ever new goroutines, also while another one waits for its answer or has its rows open. What
// is refused changes nothing: not what the server got, not the rows, not what may come next.
func TestModelOfCalls(t *testing.T) {
	server := &modelServer{}
	dsn := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ServeForever(server.answer)).DSN("")
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[wrapconn.OpKind]func(c kit.RawConn, m *modelState) error{
		wrapconn.OpExec: func(c kit.RawConn, _ *modelState) error {
			_, err := c.ExecContext(context.Background(), "DO 1", nil)
			return err
		},
		wrapconn.OpPing: func(c kit.RawConn, _ *modelState) error { return c.Ping(context.Background()) },
		wrapconn.OpPrepare: func(c kit.RawConn, _ *modelState) error {
			_, err := c.PrepareContext(context.Background(), "SELECT 1")
			return err
		},
		wrapconn.OpBegin: func(c kit.RawConn, _ *modelState) error {
			_, err := c.BeginTx(context.Background(), driver.TxOptions{})
			return err
		},
		wrapconn.OpQuery: func(c kit.RawConn, m *modelState) error {
			rows, err := c.QueryContext(context.Background(), fmt.Sprintf("Q %d %d", m.max, m.sets), nil)
			if err == nil {
				m.rows, m.set, m.row, m.atEnd = rows, 0, 0, false
			}
			return err
		},
	}
	kinds := rapid.SampledFrom([]wrapconn.OpKind{wrapconn.OpExec, wrapconn.OpPing, wrapconn.OpPrepare, wrapconn.OpBegin, wrapconn.OpQuery})
	step := kit.Watchdog(t)
	rapid.Check(t, func(t *rapid.T) {
		reports := &kit.Collector{}
		connector, err := seqguard.NewConnector(cfg, seqguard.WithOnReport(reports.Add))
		if err != nil {
			t.Fatal(err)
		}
		dc, err := connector.Connect(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		c := dc.(kit.RawConn)
		server.commands.Store(0)
		m := &modelState{}
		defer func() {
			if m.held != wrapconn.OpNone {
				close(m.gate.open)
				if err := <-m.result; err != nil {
					t.Errorf("%s: %v", m.held, err)
				}
			}
			if m.rows != nil {
				_ = m.rows.Close()
			}
			_ = c.Close()
		}()
		elsewhere := func(f func() error) error {
			step()
			done := make(chan error, 1)
			go func() { done <- f() }()
			return <-done
		}
		busy := func() (wrapconn.OpKind, wrapconn.Conflict) {
			switch {
			case m.held != wrapconn.OpNone:
				return m.held, wrapconn.Overlap
			case m.rows != nil:
				return wrapconn.OpQuery, wrapconn.Interleaving
			}
			return wrapconn.OpNone, wrapconn.NoConflict
		}
		refused := func(t *rapid.T, err error, kind wrapconn.OpKind) {
			m.refused++
			owner, conflict := busy()
			var oe *seqguard.OwnershipError
			if !errors.As(err, &oe) {
				t.Fatalf("%s during %s: %v", kind, owner, err)
			}
			if r := oe.Report; r.Conflict != conflict || r.Owner.Kind != owner || r.Intruder.Kind != kind {
				t.Fatalf("%s during %s: %s of %s by %s", kind, owner, r.Conflict, r.Owner, r.Intruder)
			}
		}
		shape := func(t *rapid.T) {
			m.max, m.sets = rapid.IntRange(0, 3).Draw(t, "rows"), rapid.IntRange(1, 3).Draw(t, "sets")
		}
		t.Repeat(map[string]func(*rapid.T){
			"call": func(t *rapid.T) {
				kind := kinds.Draw(t, "kind")
				if owner, _ := busy(); owner != wrapconn.OpNone {
					refused(t, elsewhere(func() error { return calls[kind](c, &modelState{max: 1, sets: 1}) }), kind)
					return
				}
				shape(t)
				if err := elsewhere(func() error { return calls[kind](c, m) }); err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				m.sent++
			},
			"call that waits": func(t *rapid.T) {
				if owner, _ := busy(); owner != wrapconn.OpNone {
					t.Skip("not free")
				}
				kind := kinds.Draw(t, "kind")
				shape(t)
				m.held, m.gate, m.result = kind, &modelGate{make(chan struct{}), make(chan struct{})}, make(chan error, 1)
				server.gate.Store(m.gate)
				result := m.result
				go func() { result <- calls[kind](c, m) }()
				<-m.gate.arrived
				m.sent++
			},
			"its answer": func(t *rapid.T) {
				if m.held == wrapconn.OpNone {
					t.Skip("nobody waits")
				}
				close(m.gate.open)
				if err := <-m.result; err != nil {
					t.Fatalf("%s: %v", m.held, err)
				}
				m.held = wrapconn.OpNone
			},
			"next row": func(t *rapid.T) {
				if m.held != wrapconn.OpNone || m.rows == nil || m.atEnd {
					t.Skip("no rows")
				}
				dest := make([]driver.Value, 1)
				err := elsewhere(func() error { return m.rows.Next(dest) })
				if m.row < m.max {
					if want := fmt.Sprintf("%d.%d", m.set, m.row); err != nil || string(dest[0].([]byte)) != want {
						t.Fatalf("row %s: %s, %v", want, dest[0], err)
					}
					m.row++
					return
				}
				if err != io.EOF {
					t.Fatalf("behind the last row: %v", err)
				}
				if m.atEnd = true; m.set == m.sets-1 {
					m.rows = nil // the lease is over, without a Close
				}
			},
			"next result": func(t *rapid.T) {
				if m.held != wrapconn.OpNone || m.rows == nil {
					t.Skip("no rows")
				}
				err := elsewhere(m.rows.(driver.RowsNextResultSet).NextResultSet)
				if m.set == m.sets-1 {
					if err != io.EOF {
						t.Fatalf("behind the last result: %v", err)
					}
					m.rows = nil
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				m.set, m.row, m.atEnd = m.set+1, 0, false
			},
			"close rows": func(t *rapid.T) {
				if m.held != wrapconn.OpNone || m.rows == nil {
					t.Skip("no rows")
				}
				if err := elsewhere(m.rows.Close); err != nil {
					t.Fatal(err)
				}
				m.rows = nil
			},
			"back to the pool and out": func(t *rapid.T) {
				if owner, _ := busy(); owner != wrapconn.OpNone {
					// The pool never does this to a connection in use; it would not get it.
					if err := elsewhere(func() error { return c.ResetSession(context.Background()) }); err != driver.ErrBadConn {
						t.Fatalf("reset during %s: %v", owner, err)
					}
					return
				}
				if err := elsewhere(func() error {
					if !c.IsValid() {
						return errors.New("not valid")
					}
					return c.ResetSession(context.Background())
				}); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				if n := server.commands.Load(); n != m.sent {
					t.Fatalf("the server got %d commands, %d were let through", n, m.sent)
				}
				if n := len(reports.All()); n != m.refused {
					t.Fatalf("%d reports of %d refusals", n, m.refused)
				}
			},
		})
	})
}
