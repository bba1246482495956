package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

type execer interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}

type queryer interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

var rowsOpen = scenario{
	name:  "rows-open",
	title: "Two goroutines share a transaction: one reads rows, the other one updates.",
	fault: func(*target) fault { return fault{pass: atOnce()} },
	run: func(ctx context.Context, u *use) error {
		return u.updateWhileReading(ctx, "10", "SET @seen = 10")
	},
}

// atOnce delivers the rows of a result in one piece, as a server does with few.
func atOnce() func(*link, packet) []byte {
	var reading atomic.Bool
	var held []byte
	return func(_ *link, p packet) []byte {
		if p.from == client {
			reading.Store(bytes.HasPrefix(p.payload(), []byte("\x03WITH")))
			return p.bytes
		}
		if !reading.Load() {
			return p.bytes
		}
		held = append(held, p.bytes...)
		if len(held) < 1000 || p.payload()[0] != 0xfe { // not yet the end
			return nil
		}
		return held
	}
}

// The driver refuses a command while its buffer holds unread bytes. If the rows
// arrive one by one the buffer is empty between two of them, and the command goes
// out; the row that comes next is taken for the answer if its number fits, which
// is so once in 256. The relay sees to both: it holds back the row that has
// number 1.
var ghostUpdate = scenario{
	name:  "ghost-update",
	title: "The same, and the update's table does not exist. The 255th row has the number of an answer.",
	fault: func(*target) fault {
		return fault{pass: func(l *link, p packet) []byte {
			switch {
			case p.from == client && bytes.HasPrefix(p.payload(), []byte("\x03UPDATE")):
				l.open()            // the rows come first, as on a slow line
				time.Sleep(arrival) // the rows are there before the command
			case p.from == server && p.n > 255 && p.seq() == 0:
				l.setMark(string(p.payload()[1:])) // the one column of the row
			case p.from == server && p.n > 255 && p.seq() == 1 && l.getMark() != "":
				<-l.gate
			}
			return p.bytes
		}}
	},
	run: func(ctx context.Context, u *use) error {
		return u.updateWhileReading(ctx, "", "UPDATE no_such_table SET a = 1")
	},
}

// updateWhileReading reads rows in a transaction, and after one of them another
// goroutine runs a statement in it: after the row with that value, or after the
// one that the relay has marked.
func (u *use) updateWhileReading(ctx context.Context, after, statement string) error {
	// With a context that can be cancelled the driver closes the connection at
	// the second call; without one it says "busy buffer". Both lose the
	// transaction.
	ctx = context.WithoutCancel(ctx)
	tx, err := u.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	// A span of its own, as otelsql makes one for a query: the report links to it.
	reading, read := startStep(ctx, "read the rows")
	defer read()
	rows, err := tx.QueryContext(reading, bigResult)
	if err != nil {
		return err
	}
	defer rows.Close()
	var execErr error
	var value string
	n := 0
	for rows.Next() {
		n++
		if err := rows.Scan(&value); err != nil {
			return err
		}
		if value != after && value != u.link().getMark() {
			continue
		}
		var other sync.WaitGroup
		other.Go(func() { execErr = u.exec(ctx, tx, statement) })
		other.Wait()
		u.link().open()
	}
	u.note("rows read", fmt.Sprintf("%d of 300%s", n, but(rows.Err())))
	_ = rows.Close()
	u.note("COMMIT", tx.Commit())
	return execErr
}

// exec runs a statement and notes that it is said to have succeeded.
func (u *use) exec(ctx context.Context, on execer, statement string) error {
	res, err := on.ExecContext(ctx, statement)
	if err == nil {
		n, _ := res.RowsAffected()
		u.note(statement, fmt.Sprintf("ok, %d rows affected", n))
	}
	return err
}

func but(err error) string {
	if err == nil {
		return ""
	}
	return ", then " + short(err)
}
