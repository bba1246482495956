package causes_test

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// proxyHeader puts a header in front of what the client sends, as a balancer does.
func proxyHeader(header string) func(*mysql.Config) {
	return func(cfg *mysql.Config) {
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			_, err = c.Write([]byte(header))
			// Until the refusal is there: else whether it comes before the login is by chance.
			kit.AwaitEnded(c.(*net.TCPConn))
			return c, err
		}
	}
}

// proxyHeaderCases are about a PROXY header in front of the client's bytes.
var proxyHeaderCases = []causeCase{
	{slug: "proxy_header_refused", name: "3.9 from an address that is not listed", by: byServer, on: onMariaDB, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1130", "takes no PROXY protocol header", "proxy_protocol_networks"},
		run: func(r *causeRun) error {
			return r.connect(r.direct("", proxyHeader("PROXY TCP4 10.1.2.3 10.1.2.4 4711 3306\r\n")))
		}},
	{slug: "proxy_header_refused", name: "a header that MySQL does not know", by: byServer, on: onMySQL, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1156", "before the login had been sent", "does not know the PROXY protocol", "send-proxy"},
		run: func(r *causeRun) error {
			return r.connect(r.direct("", proxyHeader("PROXY TCP4 10.1.2.3 10.1.2.4 4711 3306\r\n")))
		}},
	{slug: "proxy_header_refused", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1105", "could not read the PROXY protocol header", "version 1 or 2"},
		run: func(r *causeRun) error {
			return r.connect(r.script("", expectLogin(mysqltest.SendERR(r.due(1), 1105, "HY000", "Failed to parse proxy header"))...))
		}},
}

// lateCases are about a process that comes too late to read what is there.
var lateCases = []causeCase{
	{slug: "read_too_late", name: "3.11", by: byClient, on: onBoth, modes: everyMode, bare: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"lay in its socket", "not to blame"},
		run: func(r *causeRun) error { return r.frozen(r.server.Addr) }},
	{slug: "read_too_late", name: "3.11", by: byScript, modes: everyMode, bare: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"lay in its socket"},
		run: func(r *causeRun) error {
			return r.frozen(r.scripted(r.loggedIn(mysqltest.ServeForever(mysqltest.AnswerOK))...))
		}},
}

// frozen runs a statement with a limit of half a second, and does not come to read the answer, which is there, before that is over.
func (r *causeRun) frozen(addr string) error {
	var late atomic.Bool
	db := r.faultyWith(addr, true, func(cfg *mysql.Config) { cfg.ReadTimeout = 500 * time.Millisecond }, func(c net.Conn, _ *wrapconn.Conn) net.Conn {
		return &lateConn{Conn: c, late: &late}
	})
	c := kit.Pin(r.T, db)
	late.Store(true)
	_, err := c.ExecContext(r.ctx(), "DO 1")
	return err
}

// lateConn is read from only when there is something to read and the time limit that was set for it has passed.
type lateConn struct {
	net.Conn
	late  *atomic.Bool
	limit time.Time
}

func (c *lateConn) Read(p []byte) (int, error) {
	if c.late.Load() {
		kit.AwaitReadable(c.Conn.(syscall.Conn), 20*time.Second) // the server may need longer than the limit
		time.Sleep(time.Until(c.limit) + 100*time.Millisecond)   // the fault
		// In a process that stood still over both, the timer of the limit may not have had its turn.
		_ = c.Conn.SetReadDeadline(c.limit)
	}
	return c.Conn.Read(p)
}

// SetReadDeadline leaves the login without a limit: it may take longer on a busy machine.
func (c *lateConn) SetReadDeadline(t time.Time) error {
	if !c.late.Load() {
		return nil
	}
	c.limit = t
	return c.Conn.SetReadDeadline(t)
}
