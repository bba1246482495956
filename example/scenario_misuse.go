package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"sync"
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
	run: func(ctx context.Context, u *use) error {
		return u.updateWhileReading(ctx, "10", "SET @seen = 10")
	},
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
				l.open() // the rows come first, as on a slow line
				time.Sleep(arrival)
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
	tx, err := u.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	rows, err := tx.QueryContext(ctx, bigResult)
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
		other.Go(func() { _, execErr = tx.ExecContext(ctx, statement) })
		other.Wait()
		u.link().open()
	}
	u.note(statement, execErr)
	u.note("rows read", fmt.Sprintf("%d of 300%s", n, but(rows.Err())))
	_ = rows.Close()
	u.note("COMMIT", tx.Commit())
	return execErr
}

func but(err error) string {
	if err == nil {
		return ""
	}
	return ", then " + short(err)
}
