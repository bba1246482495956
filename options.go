package seqguard

import (
	"context"
	"database/sql/driver"
	"log/slog"
	rttrace "runtime/trace"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Option configures Register and NewConnector. Parameters of the DSN win over
// options.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// Mode says what happens when a connection is misused.
type Mode = wrapconn.Mode

const (
	// Enforce, the default, refuses such a use before a byte is written.
	Enforce = wrapconn.Enforce
	// Observe reports the same and refuses nothing; errors are the driver's own.
	Observe = wrapconn.Observe
)

type config struct {
	mode        Mode
	history     int
	opaqueTLS   bool
	callSites   bool
	tracers     trace.TracerProvider
	meters      metric.MeterProvider
	loggers     log.LoggerProvider
	logger      *slog.Logger
	attributes  []attribute.KeyValue
	onReport    func(context.Context, *wrapconn.Report)
	heldTooLong time.Duration
	abandoned   bool
	noStacks    bool
	poolMetrics bool
	poolName    string
	attribute   bool
	postMortem  *PostMortem // nil: none
	recorder    *rttrace.FlightRecorder
	recordings  string
	middleware  func(driver.Connector) driver.Connector
}

func newConfig(opts []Option) config {
	c := config{callSites: true}
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	return c
}

// WithTracerProvider sets the provider of the spans. Without it the global
// provider is asked at each report, so one set after sql.Open is found.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(c *config) { c.tracers = p })
}

// WithMeterProvider sets the provider of the metrics, in place of the global
// one.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.meters = p })
}

// WithLoggerProvider sets the provider of the OpenTelemetry log records, in
// place of the global one.
func WithLoggerProvider(p log.LoggerProvider) Option {
	return optionFunc(func(c *config) { c.loggers = p })
}

// WithLogger also writes each report to l.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) { c.logger = l })
}

// WithMode chooses between Enforce and Observe. DSN: seqguardMode=observe.
func WithMode(m Mode) Option { return optionFunc(func(c *config) { c.mode = m }) }

// WithHistory sets how many packets a connection remembers, 1 to
// wrapconn.MaxHistory; other values mean wrapconn.DefaultHistory. A run of rows
// counts as one. DSN: seqguardHistory=64.
func WithHistory(n int) Option {
	return optionFunc(func(c *config) {
		if n < 1 || n > wrapconn.MaxHistory {
			n = 0
		}
		c.history = n
	})
}

// WithTLSView says whether to look into TLS, which is the default: with the
// secrets that crypto/tls hands to the connection's own KeyLogWriter. The
// secrets stay in the connection's memory. DSN: seqguardTLS=opaque.
func WithTLSView(on bool) Option { return optionFunc(func(c *config) { c.opaqueTLS = !on }) }

// WithCallSites says whether to record where each operation was started, which
// is the default and costs some ten nanoseconds an operation on amd64 and arm64,
// some microseconds on other architectures and with the build tag purego.
// DSN: seqguardCallSites=false.
func WithCallSites(on bool) Option { return optionFunc(func(c *config) { c.callSites = on }) }

// WithStallStacks says whether to find out where a goroutine is that keeps a
// server waiting for more than a second, in the login or with a result. A report
// about such a pause then names the function. It is the default. The guard takes a
// goroutine profile for it, at most every ten seconds, and only while a server
// waits. Without call sites it takes none. DSN: seqguardStallStacks=false.
func WithStallStacks(on bool) Option { return optionFunc(func(c *config) { c.noStacks = !on }) }

// WithConnectionAttribute gives each connection a random id. The id is in its
// reports (Report.ID, seqguard.connection.uid), and the server gets it with the
// login as the connection attribute seqguard_id: it is in
// performance_schema.session_connect_attrs and in the server's own telemetry.
// Unlike the server's connection id it is never used twice, and it is the same on
// both sides of a proxy that passes attributes on. The default is off. The option
// makes a connector of go-sql-driver for each connection.
// DSN: seqguardAttribute=true.
func WithConnectionAttribute(on bool) Option {
	return optionFunc(func(c *config) { c.attribute = on })
}

// WithAttributes adds attributes to the span, the log record and the count of
// each violation. The metrics of the whole process do not have them.
func WithAttributes(kv ...attribute.KeyValue) Option {
	return optionFunc(func(c *config) { c.attributes = append(c.attributes[:len(c.attributes):len(c.attributes)], kv...) })
}

// WithOnReport calls fn for every report, also for those that the rate limit
// keeps from telemetry. Calls come one at a time, in the order of the reports, from a
// goroutine that nobody waits for: fn may use the pool, block and panic. Reports
// that are lost because fn is too slow are counted (Stats().Undelivered, and
// Report.Lost of the next report). Reports that fn causes itself are counted
// (Stats().Nested) and not delivered to it. ctx has the values of the operation's
// context and does not end with it. See Flush for how to wait until fn has been
// called.
func WithOnReport(fn func(context.Context, *wrapconn.Report)) Option {
	return optionFunc(func(c *config) { c.onReport = fn })
}

// WithHeldTooLong reports a connection that has been out of the pool for longer
// than d, as a notice and once for each holder. The report has the call site, and
// says whether rows are open or a transaction is idle. 0, the default, reports
// none. The guard checks once a second.
func WithHeldTooLong(d time.Duration) Option {
	return optionFunc(func(c *config) { c.heldTooLong = d })
}

// WithAbandoned says whether to report an operation whose context ended while its
// command was unanswered, as a notice with the cause "abandoned". The default is
// off: such operations are only counted (Stats().Abandoned, seqguard.abandoned)
// and listed on the live page. Their error is the plain driver's in any case.
// DSN: seqguardAbandoned=true.
func WithAbandoned(on bool) Option { return optionFunc(func(c *config) { c.abandoned = on }) }

// WithPoolMetrics emits, through the meter provider, the metrics of a connection pool
// under OpenTelemetry's names: db.client.connection.create_time and .use_time of each
// connection, and, of a pool that WatchPool watches, .count and .max. name is the
// value of db.client.connection.pool.name; "" means address/schema of the DSN. Each
// pool of a process needs its own name. Without this option nothing is measured.
// [Guard] sees no pool and ignores it.
func WithPoolMetrics(name string) Option {
	return optionFunc(func(c *config) { c.poolMetrics, c.poolName = true, name })
}

// WithMiddleware puts another wrapper between this one and go-sql-driver:
// wrap gets the driver's connector and returns its own, which must make its
// connection with the driver's. It is called for each connection.
func WithMiddleware(wrap func(driver.Connector) driver.Connector) Option {
	return optionFunc(func(c *config) { c.middleware = wrap })
}
