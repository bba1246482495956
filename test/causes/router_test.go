package causes_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

const routerHead = `
## Through MySQL Router

What is named when MySQL Router 9 stands in front of MySQL 9: in passthrough mode, and in the mode in which it parses every packet.

`

// routerCase is something that happens behind MySQL Router, and what it is called in front of it.
type routerCase struct {
	what        string
	pass, parse []cause.Slug // one of these
	or          cause.Slug   // is not excluded, if it is not what is named
	run         func(*causeRun, string) error
}

var routerCases = []routerCase{
	{"wait_timeout is over", []cause.Slug{"idle_timeout"}, []cause.Slug{"idle_timeout"}, "", func(r *causeRun, addr string) error {
		c := kit.Pin(r.T, r.pool(addr, "", nil))
		r.must(c, "SET SESSION wait_timeout = 1")
		time.Sleep(2500 * time.Millisecond) // the server's wait_timeout of 1 s, and the router's way with it
		_, err := c.ExecContext(r.ctx(), "DO 1")
		return err
	}},
	// In parsing mode the router does not pass ERR 1153 on. In passthrough its reset may overtake it; and a few of a thousand times the router closes nothing and
	// reads no more, also of the plain driver: then it is the limit of this side that ends it.
	{"a command above max_allowed_packet", []cause.Slug{"packet_too_large", "closed_before_answer", "peer_unresponsive"}, []cause.Slug{"closed_before_answer"}, "packet_too_large", func(r *causeRun, addr string) error {
		return r.exec(r.pool(addr, "maxAllowedPacket=67108864&writeTimeout=30s", nil), "DO LENGTH('"+noise(20_000_000)+"')")
	}},
	{"KILL while idle", []cause.Slug{"closed_while_idle"}, []cause.Slug{"closed_while_idle"}, "connection_killed", func(r *causeRun, addr string) error {
		var sockets kit.Sockets
		c := kit.Pin(r.T, r.pool(addr, "", sockets.Watch))
		var id int
		if err := c.QueryRowContext(r.ctx(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
			r.Fatal(err)
		}
		kit.Kill(r.T, r.server, id)
		sockets.Await(r.T) // the server has ended its connection, and the router this one
		_, err := c.ExecContext(r.ctx(), "DO 1")
		return err
	}},
}

func either(slugs []cause.Slug) string {
	names := make([]string, len(slugs))
	for i, s := range slugs {
		names[i] = string(s)
	}
	return strings.Join(names, " or ")
}

func routerTable() string {
	var b strings.Builder
	b.WriteString("| what happens | passthrough | parsing | among the alternatives |\n|---|---|---|---|\n")
	for _, c := range routerCases {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.what, either(c.pass), either(c.parse), c.or)
	}
	return b.String()
}

// TestCausesThroughRouter produces what a proxy passes on in a way of its own.
func TestCausesThroughRouter(t *testing.T) {
	server := mysqltest.Start(t, "mysql9", "--max-allowed-packet=1M")
	router := mysqltest.Router(t, server)
	var jobs []func()
	for _, c := range routerCases {
		for _, way := range []struct {
			name, addr string
			want       []cause.Slug
		}{{"pass", router.Pass, c.pass}, {"parse", router.Split, c.parse}} {
			for _, m := range []causeMode{plain, secure} {
				jobs = append(jobs, func() {
					t.Run(c.what+"/"+way.name+"/"+modeNames[m], func(t *testing.T) {
						r := &causeRun{T: t, mode: m, server: server, reports: &kit.Collector{}, host: strings.NewReplacer("/", "-").Replace(t.Name()) + ".test:3306"}
						err := c.run(r, way.addr)
						rep := reportOf(r, err)
						if rep == nil || !slices.Contains(way.want, rep.Cause.Slug) || c.or != "" && rep.Cause.Slug != c.or && !slices.Contains(rep.Cause.Alternatives, c.or) {
							t.Errorf("want %s, with %s not excluded", either(way.want), c.or)
						}
						t.Logf("ERROR %v", err)
						if rep != nil {
							t.Logf("REPORT %s\n%s", rep, rep.Timeline())
						}
					})
				})
			}
		}
	}
	kit.Beside(jobs)
}
