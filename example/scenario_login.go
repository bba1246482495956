package main

import (
	"context"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Both scenarios show the same numbers, "got 1 expected 2", and have different
// causes. What tells them apart is the clock.

var loginStalled = scenario{
	name:  "login-stalled",
	title: "This process is held up between the server's greeting and its own login, for longer than the server waits.",
	fault: func(t *target) fault {
		if t.patience > 0 {
			return fault{} // the server's own
		}
		return fault{pass: impatient}
	},
	tune: func(t *target, cfg *mysql.Config) { stall(cfg, t.stall()) },
	run:  ping,
}

var loginHeld = scenario{
	name:  "login-held",
	title: "The login leaves in time and is held up on the way: by a proxy, by packet loss. The same error, another cause.",
	fault: func(t *target) fault {
		return fault{pass: func(l *link, p packet) []byte {
			if p.from != client || p.n != 0 {
				return p.bytes
			}
			time.Sleep(t.stall()) // the fault
			if t.patience > 0 {
				return p.bytes // the server has given up by now
			}
			l.send(loginTimeout)
			l.hangUp()
			return nil
		}}
	},
	run: ping,
}

// connectTimeout is the server's patience when the relay plays it. MySQL's
// default is 10 s, its least 2 s.
const connectTimeout = 2 * time.Second

// stall is longer than the server's patience.
func (t *target) stall() time.Duration { return max(t.patience, connectTimeout) + 400*time.Millisecond }

// loginTimeout is what MySQL says when its connect_timeout is over: the ERR has
// number 1, because the server has not read the login, which is packet 1.
var loginTimeout = errPacket(1, 1159, "08S01", "Got timeout reading communication packets")

// impatient plays connect_timeout: the clock starts with the greeting.
func impatient(l *link, p packet) []byte {
	switch {
	case p.from == server && p.n == 0:
		late := time.AfterFunc(connectTimeout, func() {
			l.send(loginTimeout)
			_ = l.client.(*net.TCPConn).CloseWrite()
		})
		l.mu.Lock()
		l.late = late
		l.mu.Unlock()
	case p.from == client && p.n == 0:
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.late.Stop() {
			return nil
		}
	}
	return p.bytes
}

// stall makes this process stop in front of its login. The driver sets a write
// deadline before each packet if it has a write timeout: that is the place.
func stall(cfg *mysql.Config, d time.Duration) {
	cfg.WriteTimeout = time.Minute
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var nd net.Dialer
		c, err := nd.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &stalled{Conn: c, d: d}, nil
	}
}

type stalled struct {
	net.Conn
	d time.Duration
}

func (c *stalled) SetWriteDeadline(t time.Time) error {
	time.Sleep(c.d) // the fault
	t, c.d = t.Add(c.d), 0
	return c.Conn.SetWriteDeadline(t)
}

func ping(ctx context.Context, u *use) error { return u.db.PingContext(ctx) }
