package adopt

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net"
	"strings"
	"testing"

	"github.com/XSAM/otelsql"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/rds/auth"
	"github.com/go-sql-driver/mysql"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	seqguard "github.com/seqguard/mysql-seqguard"
)

func TestOtelsqlAbove(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	guarded(t, func() error {
		db, err := otelsql.Open("mysql-seqguard", server(t).DSN(""), otelsql.WithTracerProvider(provider))
		if err != nil {
			return err
		}
		defer db.Close()
		var a answer
		err = db.QueryRowContext(ctx(t), question).Scan(&a.N)
		a.check(t)
		return err
	})
	if len(spans.Ended()) == 0 {
		t.Error("otelsql made no span")
	}
}

// below is a middleware: it wraps the plain driver's connector.
func below(opts ...otelsql.Option) func(driver.Connector) driver.Connector {
	return func(c driver.Connector) driver.Connector {
		d := otelsql.WrapDriver(connectorDriver{c}, opts...)
		wrapped, err := d.(driver.DriverContext).OpenConnector("")
		if err != nil {
			return c // cannot be: connectorDriver returns no error
		}
		return wrapped
	}
}

// connectorDriver is a driver that has one connector: otelsql wraps drivers.
type connectorDriver struct{ driver.Connector }

func (d connectorDriver) Open(string) (driver.Conn, error) { return d.Connect(context.Background()) }

func (d connectorDriver) OpenConnector(string) (driver.Connector, error) { return d.Connector, nil }

func TestOtelsqlBelow(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	seqguard.Register("mysql-traced", seqguard.WithMiddleware(below(otelsql.WithTracerProvider(provider))))
	guarded(t, func() error {
		db, err := sql.Open("mysql-traced", server(t).DSN(""))
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(ctx(t))
	})
	if len(spans.Ended()) == 0 {
		t.Error("otelsql made no span")
	}
}

// A token for a password, made for each connection. The server of the test does
// not know the token, so the test looks at it and gives the password.
func TestRDSToken(t *testing.T) {
	creds := credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")
	cfg, err := mysql.ParseDSN(server(t).DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	tokens := 0
	err = cfg.Apply(mysql.BeforeConnect(func(ctx context.Context, cfg *mysql.Config) error {
		token, err := auth.BuildAuthToken(ctx, cfg.Addr, "eu-central-1", cfg.User, creds)
		if strings.Contains(token, "X-Amz-Signature=") {
			tokens++
		}
		return err // cfg.Passwd = token
	}))
	if err != nil {
		t.Fatal(err)
	}
	guarded(t, func() error {
		connector, err := seqguard.NewConnector(cfg)
		if err != nil {
			return err
		}
		db := sql.OpenDB(connector)
		defer db.Close()
		return db.PingContext(ctx(t))
	})
	if tokens != 1 {
		t.Errorf("%d tokens for one connection", tokens)
	}
}

// Cloud SQL's connector, an SSH client and others are dial functions.
func TestDialFunction(t *testing.T) {
	s := server(t)
	dialed := ""
	dial := func(ctx context.Context, instance string) (net.Conn, error) {
		dialed = instance
		var d net.Dialer
		return d.DialContext(ctx, s.Net, s.Addr)
	}
	mysql.RegisterDialContext("cloudsql", func(ctx context.Context, addr string) (net.Conn, error) { return dial(ctx, addr) })
	defer mysql.DeregisterDialContext("cloudsql")
	guarded(t, func() error {
		db, err := sql.Open("mysql-seqguard", "gotest:secret@cloudsql(project:region:instance)/gotest")
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(ctx(t))
	})
	if dialed != "project:region:instance" {
		t.Errorf("dialed %q", dialed)
	}
}

// Code that must have the plain driver's connector.
func TestPlainConnector(t *testing.T) {
	cfg, err := mysql.ParseDSN(server(t).DSN("tls=skip-verify"))
	if err != nil {
		t.Fatal(err)
	}
	guarded(t, func() error {
		if err := seqguard.Guard(cfg); err != nil {
			return err
		}
		connector, err := mysql.NewConnector(cfg)
		if err != nil {
			return err
		}
		db := sql.OpenDB(connector)
		defer db.Close()
		return db.PingContext(ctx(t))
	})
}
