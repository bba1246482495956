package main

import (
	"context"
	"strings"
)

var cutMidAnswer = scenario{
	name:  "cut",
	title: "The connection is cut in the middle of a result.",
	fault: func(*target) fault {
		return fault{pass: func(l *link, p packet) []byte {
			if p.from == server && p.n > 100 {
				l.send(p.bytes[:len(p.bytes)/2])
				l.cut()
				return nil
			}
			return p.bytes
		}}
	},
	run: func(ctx context.Context, u *use) error { return u.readAll(ctx, u.db) },
}

var misnumbered = scenario{
	name:  "misnumbered",
	title: "Something on the way numbers a packet of the answer wrongly.",
	fault: func(*target) fault {
		return fault{pass: func(_ *link, p packet) []byte {
			if p.from == server && p.seq() == 7 {
				p.bytes[3] = 8
			}
			return p.bytes
		}}
	},
	run: func(ctx context.Context, u *use) error { return u.readAll(ctx, u.db) },
}

// A pinned connection, because the driver looks at a connection only when it
// leaves the pool. In a transaction it is the same.
var stale = scenario{
	name:  "stale",
	title: "An answer arrives twice. Every answer begins with number 1, so the second one fits any command.",
	run:   queryNames,
}

func queryNames(ctx context.Context, u *use) error {
	conn, err := u.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, name := range []string{"Alice", "Bob", "Carol"} {
		var got string
		query := "SELECT '" + name + "'"
		if err := conn.QueryRowContext(ctx, query).Scan(&got); err != nil {
			u.note(query, err)
			return err
		}
		if got != name {
			got += " ← wrong"
		}
		u.note(query, got)
		if name == "Alice" {
			u.link().replay()
		}
	}
	return nil
}

// bigResult has more rows than there are sequence ids.
const bigResult = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT i FROM n"

// readAll reads a result to its end.
func (u *use) readAll(ctx context.Context, on queryer) error {
	rows, err := on.QueryContext(ctx, strings.Replace(bigResult, "SELECT i FROM", "SELECT i, REPEAT('x', 200) FROM", 1))
	if err != nil {
		return err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	u.note("rows read", n)
	return rows.Err()
}
