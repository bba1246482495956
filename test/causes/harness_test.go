package causes_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// causeMode is how a connection talks.
type causeMode string

const (
	plain      causeMode = ""
	secure     causeMode = "tls=skip-verify"
	compressed causeMode = "compress=true"
)

var (
	causeModes = []causeMode{plain, secure, compressed}
	modeNames  = map[causeMode]string{plain: "plaintext", secure: "TLS", compressed: "compressed"}
	everyMode  = causeModes
)

// causeBy is who makes a cause appear.
type causeBy string

const (
	byServer causeBy = "server" // a real server, of its own accord
	byRelay  causeBy = "relay"  // something between the client and a real server
	byClient causeBy = "client" // a real server, and a client with a fault
	byScript causeBy = "script" // a scripted server
)

// causeCase is one way to produce a cause on purpose, and what must then be said.
type causeCase struct {
	slug  cause.Slug
	name  string // of the way, if there are several
	by    causeBy
	on    []mysqltest.Kind // servers; none for a script
	modes []causeMode
	// alone: it harms the server (stops it, fills it), so nothing runs beside it, on a server of its own.
	alone bool
	// hasty: it needs a server with a connect_timeout of 2 seconds, the least there is. The others get one that does not give up
	// while this process waits for a processor.
	hasty bool

	severity cause.Severity
	executed cause.Executed
	safe     bool
	bare     bool     // the client is no go-sql-driver under seqguard: only the report tells
	many     bool     // the name takes a look at other connections: the reports are checked, which all have it, and not the error
	says     []string // facts that the error has to name; "a|b" is one of the two

	run func(*causeRun) error
}

var (
	onMySQL   = []mysqltest.Kind{mysqltest.MySQL}
	onMariaDB = []mysqltest.Kind{mysqltest.MariaDB}
	onBoth    = []mysqltest.Kind{mysqltest.MySQL, mysqltest.MariaDB}
)

// causeCases is the whole table; each part stands beside what its cases need.
var causeCases = slices.Concat(greetingCases, hasty(loginCases), proxyHeaderCases, farewellCases, togetherCases, lateCases, misuseCases, staleCases, sendingCases, answerCases)

func hasty(cases []causeCase) []causeCase {
	for i := range cases {
		cases[i].hasty = !cases[i].alone
	}
	return cases
}

// causeRun is one run of a case.
type causeRun struct {
	*testing.T
	mode    causeMode
	server  *mysqltest.Instance // nil for a script
	reports *kit.Collector
	host    string // the server's name, of this run alone

	connector driver.Connector // of the last pool
}

// ctx ends what hangs. With the race detector, on a busy machine, to compress 12 MB takes more than a minute.
func (r *causeRun) ctx() context.Context { return kit.Timeout(r.T, 3*time.Minute) }

// pool is a guarded pool on addr.
//
// Each run has a name of its own for the server: failures of one server within a second are counted together, and runs go on beside
// each other.
func (r *causeRun) pool(addr, params string, change func(*mysql.Config)) *sql.DB {
	r.Helper()
	dsn := "gotest:secret@tcp(" + addr + ")/gotest?" + string(r.mode) + "&" + params
	cfg, err := mysql.ParseDSN(strings.TrimSuffix(dsn, "&"))
	if err != nil {
		r.Fatal(err)
	}
	cfg.Logger = &mysql.NopLogger{}
	renamed(cfg, addr, r.host, change)
	if r.connector, err = seqguard.NewConnector(cfg, seqguard.WithOnReport(r.reports.Add)); err != nil {
		r.Fatal(err)
	}
	db := sql.OpenDB(r.connector)
	r.Cleanup(func() { _ = db.Close() })
	return db
}

// connect makes one connection past the pool, which would try again.
func (r *causeRun) connect(*sql.DB) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return r.connectIn(ctx)
}

func (r *causeRun) connectIn(ctx context.Context) error {
	c, err := r.connector.Connect(ctx)
	if err == nil {
		_ = c.Close()
	}
	return err
}

// connectUntilTold connects with a context that ends in the course of the login. That is told of a connection that is older than a
// second. On a busy machine it is made late, and the context ends too early: then it is done again, with more time.
func (r *causeRun) connectUntilTold(again func()) (err error) {
	for limit := 1500 * time.Millisecond; limit < 20*time.Second; limit *= 2 {
		if err = r.connectIn(kit.Timeout(r.T, limit)); err == nil || reportOf(r, err) != nil {
			return err
		}
		r.Logf("not told, with a limit of %v: %v", limit, err)
		again()
	}
	return err
}

// renamed makes cfg dial addr under another name.
func renamed(cfg *mysql.Config, addr, host string, change func(*mysql.Config)) {
	if change != nil {
		change(cfg)
	}
	dial := cfg.DialFunc
	cfg.Addr = host
	cfg.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		if dial != nil {
			return dial(ctx, network, addr)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

// direct is a pool on the server itself.
func (r *causeRun) direct(params string, change func(*mysql.Config)) *sql.DB {
	return r.pool(r.server.Addr, params, change)
}

// relayed is a pool on the server behind a relay.
func (r *causeRun) relayed(params string, rules ...mysqltest.Rule) *sql.DB {
	return r.pool(mysqltest.NewRelay(r.T, r.server.Addr, rules...).Addr, params, nil)
}

// exec runs the statements on a connection of its own and returns the first error.
func (r *causeRun) exec(db *sql.DB, statements ...string) error {
	r.Helper()
	c := kit.Pin(r.T, db)
	for _, s := range statements {
		if _, err := c.ExecContext(r.ctx(), s); err != nil {
			return err
		}
	}
	return nil
}

// must is exec of what has to succeed.
func (r *causeRun) must(c *sql.Conn, statement string) {
	r.Helper()
	if _, err := c.ExecContext(r.ctx(), statement); err != nil {
		r.Fatalf("%s: %v", statement, err)
	}
}

// toEnd reads rows to their end and returns what ends them.
func toEnd(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// script is a pool on a scripted server that greets, starts TLS in that mode, and then plays steps: the login is theirs.
func (r *causeRun) script(params string, steps ...mysqltest.Step) *sql.DB {
	return r.scriptFor(params, nil, steps...)
}

func (r *causeRun) scriptFor(params string, change func(*mysql.Config), steps ...mysqltest.Step) *sql.DB {
	return r.pool(r.scripted(steps...), params, change)
}

// scripted is the address of such a server.
func (r *causeRun) scripted(steps ...mysqltest.Step) string {
	o := mysqltest.GreetingOptions{Capabilities: mysqltest.DefaultCapabilities}
	var all []mysqltest.Step
	switch r.mode {
	case secure:
		o.Capabilities |= mysqltest.CapSSL
		all = append(all, mysqltest.Greeting(o), mysqltest.UpgradeTLS(kit.SelfSigned(r.T)))
	case compressed:
		o.Capabilities |= mysqltest.CapCompress
		all = append(all, mysqltest.Greeting(o))
	default:
		all = append(all, mysqltest.Greeting(o))
	}
	return mysqltest.ServeEvery(r.T, append(all, steps...)...).Addr
}

// serve is script with the login in it.
func (r *causeRun) serve(params string, steps ...mysqltest.Step) *sql.DB {
	return r.script(params, r.loggedIn(steps...)...)
}

// loggedIn puts the login in front of steps.
func (r *causeRun) loggedIn(steps ...mysqltest.Step) []mysqltest.Step {
	login := []mysqltest.Step{mysqltest.ExpectLogin(), mysqltest.SendOK(mysqltest.Next)}
	if r.mode == compressed {
		login = append(login, kit.StartCompression())
	}
	return append(login, steps...)
}

// due is the number that a packet of the login has in the mode: TLS costs one.
func (r *causeRun) due(n int) int {
	if r.mode == secure {
		return n + 1
	}
	return n
}

// beside runs the test for each of the names at the same time: each has a server of its own, and most of it is waiting.
func beside(t *testing.T, names []string, test func(name string)) {
	t.Helper()
	var jobs []func()
	for _, name := range names {
		jobs = append(jobs, func() { test(name) })
	}
	kit.Beside(jobs)
}

// check holds the error and the report against the case.
func (c *causeCase) check(r *causeRun, err error) *seqguard.Report {
	r.Helper()
	if err == nil && !c.bare {
		r.Fatal("no error")
	}
	rep := reportOf(r, err)
	told := r.reports.All()
	switch {
	case rep != nil && !c.many:
	case c.bare && len(told) > 0:
		rep = told[0]
	case c.many && len(told) > 0:
		rep = told[0]
		for _, x := range told {
			if x.Cause.Executed == c.executed && (rep.Cause.Executed != c.executed || x.Evidence.RelatedFailures > rep.Evidence.RelatedFailures) {
				rep = x
			}
		}
	default:
		r.Fatalf("no report in the error: %v", err)
	}
	if len(told) != 1 && !c.many {
		for _, x := range told {
			r.Logf("told: %s\n%s", x, x.Timeline())
		}
		r.Errorf("%d reports, want one", len(told))
	}
	if gap, spread := between(told); c.many && (gap > heldFor-50*time.Millisecond || spread > heldMost-200*time.Millisecond || slices.ContainsFunc(told, endedSomeTime)) {
		// A report waits for its siblings as long as one of them ends within 300 ms, up to 1.2 s. On a busy machine the ends of one
		// event lie further apart than that, or it is not known of one that they do not; then a name may be that of an end alone, and never another one.
		for _, x := range told {
			name, executed := endAlone(x)
			if x.Cause.Slug != c.slug && x.Cause.Slug != name {
				r.Errorf("a wrong name: %s\n%s", x, x.Timeline())
			}
			if d := x.Cause; d.Severity != c.severity || d.Executed != executed || d.RetrySafe != c.safe {
				r.Errorf("%s, executed %s, retry safe %t; want %s, %s, %t", d.Severity, d.Executed, d.RetrySafe, c.severity, executed, c.safe)
			}
		}
		r.Logf("the ends lie %v apart, and %v in all: not claimed that they have one name", gap, spread)
		return rep
	}
	for _, x := range told {
		if c.many && x.Cause.Slug != rep.Cause.Slug {
			r.Errorf("one event with two names: %s\n%s", x, x.Timeline())
		}
	}
	d := rep.Cause
	if d.Slug != c.slug || d.Severity != c.severity || d.Executed != c.executed || d.RetrySafe != c.safe {
		r.Errorf("%s, %s, executed %s, retry safe %t; want %s, %s, executed %s, retry safe %t",
			d.Slug, d.Severity, d.Executed, d.RetrySafe, c.slug, c.severity, c.executed, c.safe)
	}
	text := d.Explanation + " " + d.Advice
	if !c.bare && !c.many {
		kit.WantLine(r, err, string(c.slug))
		text = fmt.Sprintf("%+v", err)
	}
	for _, s := range append([]string{cause.DocURL(c.slug)}, c.says...) {
		if !containsOne(text, s) && (s != cause.DocURL(c.slug) || !c.bare && !c.many) {
			r.Errorf("it does not say %q: %s", s, text)
		}
	}
	if r.Failed() || testing.Verbose() {
		r.Logf("ERROR %v\nREPORT %s\n%s", err, rep, rep.Timeline())
	}
	return rep
}

// containsOne tells whether the text has one of the wordings: a machine that is busy besides is itself a part of what happened.
func containsOne(text, wordings string) bool {
	return slices.ContainsFunc(strings.Split(wordings, "|"), func(w string) bool { return strings.Contains(text, w) })
}

// endAlone is what the end of one connection is called, and whether its statement ran, when nothing is known of the others.
func endAlone(x *seqguard.Report) (cause.Slug, cause.Executed) {
	switch e := &x.Evidence; {
	case e.BeforeCommand:
		return "closed_while_idle", cause.ExecutedNo
	case e.Phase.Answering() && e.Phase != session.PhaseCommand:
		return "connection_lost_mid_answer", cause.ExecutedUnknown
	}
	return "closed_before_answer", cause.ExecutedUnknown
}

// endedSomeTime: the end was found so long after the connection was last seen open that it is nobody's company.
func endedSomeTime(x *seqguard.Report) bool {
	return x.Evidence.BeforeCommand && x.Evidence.EndWindow > time.Second-50*time.Millisecond
}

// heldFor is for how long a report waits for its next sibling, heldMost for all of them.
const (
	heldFor  = 300 * time.Millisecond
	heldMost = 1200 * time.Millisecond
)

// between is the longest time between one report and the next, and the time from the first to the last.
func between(told []*seqguard.Report) (gap, spread time.Duration) {
	if len(told) == 0 {
		return 0, 0
	}
	told = slices.SortedFunc(slices.Values(told), func(a, b *seqguard.Report) int { return a.Time.Compare(b.Time) })
	for i, r := range told[1:] {
		gap = max(gap, r.Time.Sub(told[i].Time))
	}
	return gap, told[len(told)-1].Time.Sub(told[0].Time)
}

// reportOf returns the report that an error carries.
func reportOf(r *causeRun, err error) *seqguard.Report {
	r.Helper()
	var pe *seqguard.ProtocolError
	var oe *seqguard.OwnershipError
	switch {
	case errors.As(err, &pe):
		return pe.Report
	case errors.As(err, &oe):
		return oe.Report
	}
	return nil
}

func (c *causeCase) label(m causeMode) string {
	s := string(c.slug)
	if c.name != "" {
		s += "/" + c.name
	}
	return s + "/" + string(c.by) + "/" + modeNames[m]
}

// perform runs the case in one mode.
func (c *causeCase) perform(t *testing.T, server *mysqltest.Instance, m causeMode) {
	t.Run(c.label(m), func(t *testing.T) {
		host := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()) + ".test:3306"
		r := &causeRun{T: t, mode: m, server: server, reports: &kit.Collector{}, host: host}
		c.check(r, c.run(r))
	})
}

// TestCauses produces every cause on purpose and checks that it is named.
func TestCauses(t *testing.T) {
	t.Run("scripted", func(t *testing.T) {
		var jobs []func()
		for i := range causeCases {
			if c := &causeCases[i]; c.by == byScript {
				for _, m := range c.modes {
					jobs = append(jobs, func() { c.perform(t, nil, m) })
				}
			}
		}
		kit.Beside(jobs)
	})
	for _, name := range []string{"mysql9", "mariadb1011"} {
		for _, hasty := range []bool{false, true} {
			// max_allowed_packet as small as it can be for these cases; one version of TLS, so that a client can have none in common.
			label, options := name, []string{"--max-allowed-packet=1M", "--tls-version=TLSv1.3"}
			if hasty {
				label, options = name+" hasty", append(options, "--connect-timeout=2")
			}
			t.Run(label, func(t *testing.T) {
				t.Parallel()
				server := mysqltest.Start(t, name, options...)
				var jobs []func()
				for i := range causeCases {
					if c := &causeCases[i]; slices.Contains(c.on, server.Kind) && !c.alone && c.hasty == hasty {
						for _, m := range c.modes {
							jobs = append(jobs, func() { c.perform(t, server, m) })
						}
					}
				}
				kit.Beside(jobs)
			})
		}
		t.Run(name+" alone", func(t *testing.T) {
			t.Parallel()
			server := mysqltest.Start(t, name)
			for i := range causeCases {
				if c := &causeCases[i]; slices.Contains(c.on, server.Kind) && c.alone {
					for _, m := range c.modes {
						c.perform(t, server, m)
					}
				}
			}
		})
	}
}
