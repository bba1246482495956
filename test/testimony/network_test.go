//go:build linux

package testimony_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// networkFaults are about what the kernel says of a connection.
var networkFaults = []fault{
	{
		name: "the server has the command and does not answer", how: "`SELECT SLEEP` behind a forwarder, with a readTimeout",
		slug: "peer_unresponsive", on: real, executed: cause.ExecutedUnknown,
		says:  []string{"The kernel of the other side has acknowledged all", "it has COM_QUERY and does not answer", "Look for the statement in SHOW PROCESSLIST", "Behind a proxy this is the proxy", "tcp: established"},
		never: []string{"path is dead"},
		run: func(r *faultRun) error {
			c := r.conn(r.pool(r.lab.Forward(r.T, r.server.Addr), "readTimeout=1500ms"))
			_, err := c.ExecContext(context.Background(), "DO SLEEP(5)")
			return err
		},
	},
	{
		name: "the path is dead", how: "nftables drops what arrives at the server",
		slug: "peer_unresponsive", on: real, executed: cause.ExecutedUnknown,
		says:  []string{"has not acknowledged", "retransmitted", "the path is dead", "SetConnMaxIdleTime", "does not prove that nothing arrived"},
		never: []string{"does not answer", "SHOW PROCESSLIST"},
		run: func(r *faultRun) error {
			c := r.conn(r.pool(r.lab.Forward(r.T, r.server.Addr), "readTimeout=1500ms"))
			r.lab.NFT(r.T, "add rule inet lab in "+port+" drop")
			_, err := c.ExecContext(context.Background(), "DO 1")
			return err
		},
	},
	{
		name: "the path back is dead, and the statement ran", how: "what the server sends is lost, acknowledgements too",
		slug: "peer_unresponsive", on: real, executed: cause.ExecutedUnknown,
		says: []string{"has not acknowledged", "the path is dead", "does not prove that nothing arrived", "executed: unknown; retry: not safe"},
		run: func(r *faultRun) error {
			ctx := kit.Timeout(r.T, 20*time.Second)
			table := fmt.Sprintf("ack_%d", time.Now().UnixNano())
			direct, _ := kit.Open(r.T, r.server.DSN(""), nil)
			if _, err := direct.ExecContext(ctx, "CREATE TABLE "+table+" (n INT)"); err != nil {
				r.Fatal(err)
			}
			r.Cleanup(func() { _, _ = direct.Exec("DROP TABLE " + table) })
			c := r.conn(r.pool(r.lab.Forward(r.T, r.server.Addr), "readTimeout=1500ms"))
			r.lab.LoseAnswers(true)
			_, err := c.ExecContext(context.Background(), "INSERT INTO "+table+" VALUES (1)")
			r.after = func(t *testing.T) {
				var n int
				if err := direct.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil || n != 1 {
					t.Errorf("%d rows, %v: it was to run although nothing was acknowledged", n, err)
				}
			}
			return err
		},
	},
	{
		name: "nobody reads at the other side", how: "a scripted server that stops to read, and a command of 12 MB with a writeTimeout",
		slug: "peer_unresponsive", executed: cause.ExecutedNo,
		says:  []string{"has no room for more", "wait here", "The path is alive"},
		never: []string{"path is dead"},
		run: func(r *faultRun) error {
			over := make(chan struct{})
			defer close(over)
			c := r.conn(r.pool(r.script(func(s *mysqltest.Session) error {
				if err := login(s); err != nil {
					return err
				}
				<-over
				return s.Conn.Close()
			}), "writeTimeout=1s"))
			_, err := c.ExecContext(context.Background(), "DO '"+string(make([]byte, 12<<20))+"'")
			return err
		},
	},
	{
		name: "the command was refused with a reset", how: "nftables rejects what arrives with a TCP reset",
		slug: "closed_before_answer", on: real, executed: cause.ExecutedUnknown,
		says:  []string{"reset by the peer", "never acknowledged the last", "does not prove that nobody read them", "executed: unknown; retry: not safe", "tcp: closed"},
		never: []string{"path is dead"},
		run: func(r *faultRun) error {
			c := r.conn(r.pool(r.lab.Forward(r.T, r.server.Addr), ""))
			time.Sleep(300 * time.Millisecond) // the acknowledgement of the login's OK is late, and would be refused
			r.lab.NFT(r.T, "add rule inet lab in "+port+" reject with tcp reset")
			_, err := c.ExecContext(context.Background(), "DO 1")
			return err
		},
	},
	{
		name: "the command was read and the connection reset at once", how: "a scripted server reads the command and closes with SO_LINGER 0",
		slug: "closed_before_answer", executed: cause.ExecutedUnknown,
		says: []string{"reset by the peer", "executed: unknown; retry: not safe"},
		run: func(r *faultRun) error {
			c := r.conn(r.pool(r.script(func(s *mysqltest.Session) error {
				if err := login(s); err != nil {
					return err
				}
				if err := s.ReadPacket(); err != nil {
					return err
				}
				_ = s.Conn.(*net.TCPConn).SetLinger(0)
				return s.Conn.Close()
			}), ""))
			_, err := c.ExecContext(context.Background(), "DO 1")
			return err
		},
	},
	{
		name: "the command was taken, then the connection ended", how: "a scripted server reads the command, waits for 200 ms and closes",
		slug: "closed_before_answer", executed: cause.ExecutedUnknown,
		says: []string{"had acknowledged COM_QUERY before the end, all", "it was not lost on the way there"},
		run: func(r *faultRun) error {
			c := r.conn(r.pool(r.script(func(s *mysqltest.Session) error {
				if err := login(s); err != nil {
					return err
				}
				if err := s.ReadPacket(); err != nil {
					return err
				}
				time.Sleep(200 * time.Millisecond) // the kernel acknowledges late what nothing is sent back for
				return s.Conn.Close()
			}), ""))
			_, err := c.ExecContext(context.Background(), "DO 1")
			return err
		},
	},
	{
		name: "the kernel gave the connection up", how: "the wire loses everything; TCP_USER_TIMEOUT is 1 s",
		slug: "closed_before_answer", on: real, executed: cause.ExecutedUnknown,
		says: []string{"the path is dead", "does not prove that nothing arrived"},
		run: func(r *faultRun) error {
			c := r.conn(r.poolWith(r.lab.Forward(r.T, r.server.Addr), "", func(cfg *mysql.Config) {
				dial := cfg.DialFunc
				cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
					c, err := dial(ctx, network, addr)
					if err != nil {
						return nil, err
					}
					raw, err := c.(*net.TCPConn).SyscallConn()
					if err != nil {
						return nil, err
					}
					var serr error
					err = raw.Control(func(fd uintptr) { serr = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, 18, 1000) })
					return c, errors.Join(err, serr)
				}
			}))
			r.lab.Lose(true)
			_, err := c.ExecContext(context.Background(), "DO 1")
			return err
		},
	},
	{
		name: "the server has the login and does not answer", how: "a scripted server reads the login and says nothing",
		slug: "login_unanswered", executed: cause.ExecutedNo,
		says:  []string{"has acknowledged all", "it has the login and does not answer", "Behind a proxy this is the proxy"},
		never: []string{"path is dead"},
		run: func(r *faultRun) error {
			db := r.pool(r.script(func(s *mysqltest.Session) error {
				err := mysqltest.Steps(mysqltest.Greeting(mysqltest.GreetingOptions{}), mysqltest.ExpectLogin(), mysqltest.ExpectClose()).Run(s)
				return errors.Join(err, s.Conn.Close())
			}), "")
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			return db.PingContext(ctx)
		},
	},
	{
		name: "the login does not reach the server", how: "nftables drops what is larger than 90 bytes",
		slug: "login_unanswered", on: []string{"mysql9"}, executed: cause.ExecutedNo,
		says:  []string{"has not acknowledged", "the path is dead"},
		never: []string{"does not answer"},
		run: func(r *faultRun) error {
			db := r.pool(r.lab.Forward(r.T, r.server.Addr), "")
			r.lab.NFT(r.T, "add rule inet lab in "+port+" meta length > 90 drop")
			ctx, cancel := context.WithTimeout(context.Background(), 1700*time.Millisecond)
			defer cancel()
			return db.PingContext(ctx)
		},
	},
	{
		name: "a proxy keeps the login", how: "a relay holds it for longer than connect_timeout",
		slug: "login_delayed_on_the_way", on: []string{"mysql9"}, executed: cause.ExecutedNo,
		says:  []string{"Nothing was sent twice", "what ends the TCP connection", "kept the login"},
		never: []string{"packets are lost"},
		run: func(r *faultRun) error {
			relay := mysqltest.NewRelay(r.T, r.server.Addr, mysqltest.OnPacket(mysqltest.FromClient, 0, mysqltest.Action{Hold: 3 * time.Second}))
			return r.pool(r.lab.Forward(r.T, relay.Addr), "").PingContext(kit.Timeout(r.T, 10*time.Second))
		},
	},
	{
		name: "packets of the login are lost", how: "nftables drops what is larger than 90 bytes for longer than connect_timeout",
		slug: "login_delayed_on_the_way", on: []string{"mysql9"}, executed: cause.ExecutedNo,
		says:  []string{"had to be sent again on this connection: packets are lost on the way"},
		never: []string{"kept the login"},
		run: func(r *faultRun) error {
			db := r.pool(r.lab.Forward(r.T, r.server.Addr), "")
			r.lab.NFT(r.T, "add rule inet lab in "+port+" meta length > 90 drop")
			return db.PingContext(kit.Timeout(r.T, 10*time.Second))
		},
	},
	{
		name: "an answer that was under way before its command", how: "a round trip of 200 ms, and a scripted proxy that sends one answer too many 60 ms before the command leaves",
		slug: "stale_answer", executed: cause.ExecutedNo,
		says: []string{"sooner than half of the least round trip", "the answers of this connection are shifted"},
		run:  func(r *faultRun) error { return r.oneTooMany(true) },
	},
	{
		name: "an answer too many behind that of a command", how: "the same, sent behind the command's own answer",
		slug: "unsolicited_packet", executed: cause.ExecutedNo,
		never: []string{"sooner than half"},
		run:   func(r *faultRun) error { return r.oneTooMany(false) },
	},
}

// oneTooMany has a server send one answer too many: before the second command
// can have come, or behind the answer to it.
func (r *faultRun) oneTooMany(early bool) error {
	r.lab.Delay(100 * time.Millisecond)
	send, sent := make(chan bool), make(chan struct{})
	addr := r.script(func(s *mysqltest.Session) error {
		if err := errors.Join(login(s), answered(s)); err != nil {
			return err
		}
		extra := mysqltest.SendOK(1)
		if <-send {
			if err := extra.Run(s); err != nil {
				return err
			}
			if err := answered(s); err != nil {
				return err
			}
		} else {
			if err := answered(s); err != nil {
				return err
			}
			time.Sleep(200 * time.Millisecond) // behind the answer, on a way that takes 100 ms
			if err := extra.Run(s); err != nil {
				return err
			}
		}
		close(sent)
		_ = s.ReadPacket() // the third command must not come
		return s.Conn.Close()
	})
	ctx := kit.Timeout(r.T, 20*time.Second)
	c := r.conn(r.pool(addr, ""))
	if _, err := c.ExecContext(ctx, "DO 1"); err != nil {
		r.Fatal(err)
	}
	send <- early
	if early {
		time.Sleep(60 * time.Millisecond) // more than half of the way, and less than all of it
	}
	if _, err := c.ExecContext(ctx, "DO 2"); err != nil {
		return err // it was so late that the answer too many was there
	}
	select {
	case <-sent:
		time.Sleep(500 * time.Millisecond) // longer than the way of what is too much
	case <-ctx.Done():
		r.Fatal("the scripted proxy has not sent what is too much")
	}
	_, err := c.ExecContext(ctx, "DO 3")
	return err
}
