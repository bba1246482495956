package main

import (
	"context"
	"time"
)

// MySQL ends an idle connection after wait_timeout with a farewell: ERR 4031
// with number 0, which nobody asked for and nobody reads before the next command.

var idlePool = scenario{
	name:  "idle-pool",
	title: "The server has said goodbye to an idle connection of the pool.",
	run:   queryPool,
}

func queryPool(ctx context.Context, u *use) error {
	if err := u.goIdle(ctx, u.db); err != nil {
		return err
	}
	// database/sql takes another connection. Why, only the log knows.
	return u.db.QueryRowContext(ctx, "SELECT 1").Scan(new(int))
}

var idlePinned = scenario{
	name:  "idle-pinned",
	title: "The same on a connection that the application holds on to (sql.Conn): there is no other one to take.",
	run:   queryPinned,
}

func queryPinned(ctx context.Context, u *use) error {
	conn, err := u.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := u.goIdle(ctx, conn); err != nil {
		return err
	}
	return conn.QueryRowContext(ctx, "SELECT 1").Scan(new(int))
}

// goIdle waits until the server has ended the connection.
func (u *use) goIdle(ctx context.Context, on execer) error {
	if !u.target.embedded {
		_, err := on.ExecContext(ctx, "SET SESSION wait_timeout=1")
		time.Sleep(2500 * time.Millisecond) // the server's clock
		return err
	}
	if _, err := on.ExecContext(ctx, "SET @x = 1"); err != nil {
		return err
	}
	time.Sleep(time.Second) // the idle time that the report names
	l := u.link()
	l.send(errPacket(0, 4031, "HY000", "The client was disconnected by the server because of inactivity. "+
		"See wait_timeout and interactive_timeout for configuring this behavior."))
	go l.hangUp()
	time.Sleep(arrival) // the client has it before its next command
	return nil
}
