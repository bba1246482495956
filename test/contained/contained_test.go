package contained_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

func TestMain(m *testing.M) { kit.Main(m) }

// thin is a connection that has no more than the driver calls: the rest is that of
// a nil net.Conn, and panics.
type thin struct {
	net.Conn
	c net.Conn
}

func (t thin) Read(p []byte) (int, error)         { return t.c.Read(p) }
func (t thin) Write(p []byte) (int, error)        { return t.c.Write(p) }
func (t thin) Close() error                       { return t.c.Close() }
func (t thin) SetReadDeadline(d time.Time) error  { return t.c.SetReadDeadline(d) }
func (t thin) SetWriteDeadline(d time.Time) error { return t.c.SetWriteDeadline(d) }

// stuck is a connection whose addresses nobody ever gets.
type stuck struct{ thin }

func (stuck) RemoteAddr() net.Addr { select {} }
func (stuck) LocalAddr() net.Addr  { select {} }

// Fault 2.1: RemoteAddr panicked, or did not return, under the connection's lock.
func TestFault2_1(t *testing.T) {
	kit.PanicsMeant(1)
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"panics": func(c net.Conn) net.Conn { return thin{c: c} },
		"blocks": func(c net.Conn) net.Conn { return stuck{thin{c: c}} },
	} {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{}),
				mysqltest.ExpectCommand(0x03), mysqltest.Close())
			db, c := kit.Open(t, server.DSN(""), func(cfg *mysql.Config) {
				cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
					var nd net.Dialer
					inner, err := nd.DialContext(ctx, network, addr)
					if err != nil {
						return nil, err
					}
					return wrap(inner), nil
				}
			})
			done := make(chan error, 1)
			go func() {
				_, err := db.ExecContext(kit.Timeout(t, 10*time.Second), "DO 1")
				wrapconn.CountOpen()
				wrapconn.Connections("", 0)
				done <- err
			}()
			select {
			case err := <-done:
				if !errors.Is(err, mysql.ErrInvalidConn) {
					t.Errorf("%v, want that of the plain driver in it", err)
				}
				kit.WantCause(t, err, c, "closed_before_answer")
			case <-time.After(20 * time.Second):
				t.Fatal("the operation, or the list of connections, does not return")
			}
		})
	}
}

// raised returns what f panics with.
func raised(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

type nilReader struct{ at *int }

func (r nilReader) Read([]byte) (int, error) { return *r.at, io.EOF }

// Fault 2.2: a bug of the application inside of a call passes, as with the plain
// driver, and is not told as something else.
func TestFault2_2(t *testing.T) {
	t.Run("the reader of LOAD DATA", func(t *testing.T) {
		mysql.RegisterReaderHandler("contained", func() io.Reader { return nilReader{} })
		defer mysql.DeregisterReaderHandler("contained")
		both(t, "", nil, func(db *sql.DB) { _, _ = db.Exec("LOAD DATA LOCAL INFILE 'Reader::contained' INTO TABLE t") },
			mysqltest.ExpectCommand(0x03), mysqltest.SendPacket(1, []byte("\xfbReader::contained")))
	})
	t.Run("VerifyConnection", func(t *testing.T) {
		s := mysqltest.Shared(t, "mysql9")
		change := func(cfg *mysql.Config) {
			cfg.TLS = &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error { //nolint:gosec // a test
				var none map[string]bool
				none["here"] = true //lint:ignore SA5000 the fault of a user's callback that the test is about
				return nil
			}}
		}
		compare(t, s.RootDSN(""), change, func(db *sql.DB) { _ = db.Ping() })
	})
	t.Run("a dial function", func(t *testing.T) {
		both(t, "", func(cfg *mysql.Config) {
			cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) {
				var none []net.Conn
				return none[len(cfg.Addr)], nil
			}
		}, func(db *sql.DB) { _ = db.Ping() })
	})
}

// both runs use against the steps, with the plain driver and with the guard.
func both(t *testing.T, params string, change func(*mysql.Config), use func(*sql.DB), steps ...mysqltest.Step) {
	t.Helper()
	all := append([]mysqltest.Step{mysqltest.Login(mysqltest.GreetingOptions{})}, steps...)
	server := mysqltest.ServeEvery(t, all...)
	compare(t, server.DSN(params), change, use)
}

func compare(t *testing.T, dsn string, change func(*mysql.Config), use func(*sql.DB)) {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(cfg)
	}
	plain, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := raised(func() { use(sql.OpenDB(plain)) })
	if _, ok := want.(runtime.Error); !ok {
		t.Fatalf("the plain driver: %v", want)
	}
	db, c := kit.Open(t, dsn, change)
	got := raised(func() { use(db) })
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v; the plain driver: %v", got, want)
	}
	c.None(t)
}

// Fault 2.7: the socket inside of a connection that frames what it carries is not
// looked into, and checkConnLiveness=false is honoured.
func TestFault2_7(t *testing.T) {
	// A server that says something of its own accord, which belongs to the frames.
	stray := func(answered <-chan struct{}, sent chan<- struct{}) []mysqltest.Step {
		return []mysqltest.Step{
			mysqltest.Login(mysqltest.GreetingOptions{}),
			mysqltest.ExpectCommand(0x03), mysqltest.SendOK(1),
			mysqltest.WaitFor(answered), mysqltest.SendRaw([]byte("ping")),
			mysqltest.Do("what was sent is there", func(*mysqltest.Session) error { close(sent); return nil }),
			mysqltest.Do("the next command, if there is one", func(s *mysqltest.Session) error {
				if s.ReadPacket() == nil {
					_ = s.WritePacket(1, mysqltest.OKPayload(0, 0, 2, 0))
				}
				return nil
			}),
		}
	}
	for name, tt := range map[string]struct {
		params string
		embed  bool
		found  bool
	}{
		"a plain socket":              {"", false, true},
		"a plain socket, no check":    {"?checkConnLiveness=false", false, false},
		"frames, no check of its own": {"?checkConnLiveness=false", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			answered, sent := make(chan struct{}), make(chan struct{})
			server := mysqltest.Serve(t, stray(answered, sent)...)
			dsn := server.DSN(strings.TrimPrefix(tt.params, "?"))
			sockets := new(kit.Sockets)
			db, c := kit.Open(t, dsn, func(cfg *mysql.Config) {
				sockets.Watch(cfg)
				if tt.embed {
					cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
						var nd net.Dialer
						inner, err := nd.DialContext(ctx, network, addr)
						if err != nil {
							return nil, err
						}
						return &stripped{TCPConn: inner.(*net.TCPConn), strip: "ping"}, nil
					}
				}
			})
			db.SetMaxOpenConns(1)
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.ExecContext(t.Context(), "DO 1"); err != nil {
				t.Fatal(err)
			}
			close(answered)
			<-sent
			limit := time.Second // for a driver that waits for the rest of what it takes for a packet
			if tt.embed {
				limit = 20 * time.Second
			} else {
				sockets.Await(t)
			}
			_, err = conn.ExecContext(kit.Timeout(t, limit), "DO 2")
			switch {
			case tt.found:
				kit.WantCause(t, err, c, "unsolicited_packet")
			case tt.embed:
				if err != nil {
					t.Errorf("%v", err)
				}
				c.None(t)
			default: // nobody looked; the driver meets them itself
				if r := c.All(); len(r) > 0 && r[0].Evidence.BeforeCommand {
					t.Errorf("it was looked into the socket: %v", r[0])
				}
			}
		})
	}
}

// stripped takes a word out of the stream that it carries.
type stripped struct {
	*net.TCPConn
	strip string
}

func (s *stripped) Read(p []byte) (int, error) {
	for {
		n, err := s.TCPConn.Read(p)
		got := strings.ReplaceAll(string(p[:n]), s.strip, "")
		if n = copy(p, got); n > 0 || err != nil {
			return n, err
		}
	}
}

// Fault 4.7: client and server understand an answer differently, and the client
// waits for what is not due. With the plain driver that lasts until a limit is
// over, and says `invalid connection`.
func TestFault4_7(t *testing.T) {
	server := mysqltest.ServeEvery(t, mysqltest.Login(mysqltest.GreetingOptions{
		Version: "5.5.5-11.8.9-MariaDB", Capabilities: mysqltest.DefaultCapabilities &^ mysqltest.CapLongPassword, MariaDB: mysqltest.MariaDBCapCacheMetadata,
	}), mysqltest.ExpectCommand(0x03), mysqltest.SendPacket(1, []byte{3, 0}), mysqltest.SendPacket(2, mysqltest.TextRowPayload(1, 2, 3)),
		mysqltest.SendPacket(3, mysqltest.ResultEndPayload(2, 0)), mysqltest.ExpectClose())
	db, c := kit.Open(t, server.DSN(""), nil)
	began := time.Now()
	done := make(chan error, 1)
	go func() {
		_, err := db.Exec("SELECT 1") // it counts definitions without a look at them
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, mysql.ErrInvalidConn) {
			t.Errorf("%v, want that of the plain driver in it", err)
		}
		r := kit.WantCause(t, err, c, "read_nothing_due")
		if d := time.Since(began); d < time.Second || r.Owner == nil {
			t.Errorf("after %s, owner %v", d, r.Owner)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the query does not return")
	}
}
