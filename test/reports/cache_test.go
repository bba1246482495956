package reports_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// greetedConn is a client's connection on which the server's greeting is changed.
type greetedConn struct {
	net.Conn
	change func(capabilities, extended []byte) // four bytes each, of which two of the first are apart in the greeting
	read   bool
}

func (c *greetedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.read && n > 5 {
		c.read = true
		changeGreeting(b[:n], c.change)
	}
	return n, err
}

// changeGreeting changes what a greeting, with its header, offers. MySQL manual, "Protocol::HandshakeV10"; MariaDB's four bytes are
// the last of the ten that are a filler there.
func changeGreeting(b []byte, change func(capabilities, extended []byte)) {
	at := 5 + strings.IndexByte(string(b[5:]), 0) + 1 + 4 + 8 + 1 // behind the version, the id, a part of the scramble, and a 0
	low, high, extended := b[at:at+2], b[at+5:at+7], b[at+14:at+18]
	capabilities := []byte{low[0], low[1], high[0], high[1]}
	change(capabilities, extended)
	copy(low, capabilities[:2])
	copy(high, capabilities[2:])
}

// through dials with a changed greeting.
func through(change func(capabilities, extended []byte)) func(*mysql.Config) {
	return func(cfg *mysql.Config) {
		cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &greetedConn{Conn: c, change: change}, nil
		}
	}
}

func noEOF(capabilities, _ []byte)          { capabilities[3] &^= 1 }  // CLIENT_DEPRECATE_EOF
func noMetadata(_, extended []byte)         { extended[0] &^= 1 << 4 } // MARIADB_CLIENT_CACHE_METADATA
func neither(capabilities, extended []byte) { noEOF(capabilities, nil); noMetadata(nil, extended) }

// Number 24, MDEV-13300: MariaDB's query cache keeps whole packets, so that an answer may have the framing of whoever filled the cache. On
// MariaDB 10.11 and 11.8, clients with and without CLIENT_DEPRECATE_EOF and with and without cached metadata, in plaintext, compressed and
// in TLS, read what others have put there.
//
// Some are kept apart, because go-sql-driver 1.10.1 raises a panic when it reads the answer of the other (MariaDB 10.11.19 and 11.8.9). The guard
// makes malformed_packet of that, and its advice names the cache; what becomes of a panic of the driver's is tested in test/contained.
func TestReport24QueryCache(t *testing.T) {
	clients := map[string]struct {
		params string
		change func(*mysql.Config)
		apart  bool
	}{
		"as it is":                        {"", nil, false},
		"compressed":                      {"compress=true", nil, false},
		"TLS":                             {"tls=skip-verify", nil, false},
		"EOF":                             {"", through(noEOF), false},
		"no metadata":                     {"", through(noMetadata), true},
		"no metadata, TLS":                {"tls=skip-verify", through(noMetadata), true},
		"EOF and no metadata":             {"", through(neither), true},
		"EOF and no metadata, compressed": {"compress=true", through(neither), true},
	}
	for _, name := range []string{"mariadb1011", "mariadb118"} {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.Start(t, name, "--query-cache-type=1", "--query-cache-size=4M")
			ctx := kit.Timeout(t, time.Minute)
			admin, _ := kit.Open(t, server.RootDSN(""), nil)
			for _, q := range []string{"CREATE TABLE cached (a VARCHAR(9), b INT)", "INSERT INTO cached VALUES ('x', 1), (NULL, 2)"} {
				if _, err := admin.ExecContext(ctx, q); err != nil {
					t.Fatal(err)
				}
			}
			hits := func() (n int) {
				var name string
				if err := admin.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Qcache_hits'").Scan(&name, &n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			want := []string{"truex true1", "false true2"}
			shared := map[bool]int{}
			for filler, f := range clients {
				for reader, r := range clients {
					if f.apart != r.apart {
						continue
					}
					filling, fills := kit.Open(t, server.DSN(f.params), f.change)
					reading, reads := kit.Open(t, server.DSN(r.params), r.change)
					for _, args := range [][]any{nil, {0}} {
						query := fmt.Sprintf("SELECT a, b FROM cached WHERE b > 0 -- %s, %s", filler, reader)
						if args != nil {
							query = strings.Replace(query, "> 0", "> ?", 1)
						}
						if got, err := values(ctx, filling, query, args...); err != nil || !slices.Equal(got, want) {
							t.Fatalf("%s: %q, %v", filler, got, err)
						}
						before := hits()
						if got, err := values(ctx, reading, query, args...); err != nil || !slices.Equal(got, want) {
							t.Errorf("filled by %s, read by %s, %v: %q, %v", filler, reader, args, got, err)
						}
						shared[filler == reader] += hits() - before
					}
					fills.None(t)
					reads.None(t)
					_ = filling.Close()
					_ = reading.Close()
				}
			}
			t.Logf("read from the cache: %d times what the same kind of client had put there, %d times what another had", shared[true], shared[false])
			if shared[true] == 0 || shared[false] == 0 {
				t.Error("the cache was not used")
			}
		})
	}
}

// Number 36, go-mysql-org/go-mysql 1056 and 1178: a peer announces query attributes, which go-sql-driver does not send. A relay sets the bit
// on servers that have it and on such that do not. The release of go-mysql whose server offers CLIENT_DEPRECATE_EOF is later than that of
// scripts/imitations.sh; both framings of it are in test/grammar.
func TestReport36QueryAttributesAnnounced(t *testing.T) {
	const attributes = 1 << (27 - 24)
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		if server.Net != "tcp" {
			t.Skip("NOT TESTED: a relay needs a server on TCP")
		}
		asked := make(chan bool, 10)
		relay := mysqltest.NewRelay(t, server.Addr, func(p mysqltest.RelayPacket) (a mysqltest.Action) {
			if p.Index != 0 || p.Raw {
				return a
			}
			if p.From == mysqltest.FromClient {
				asked <- p.Payload()[3]&attributes != 0
				return a
			}
			b := slices.Clone(p.Bytes)
			changeGreeting(b, func(capabilities, _ []byte) { capabilities[3] |= attributes })
			return mysqltest.Action{Before: b, Drop: true}
		})
		db, reports := kit.Open(t, relay.DSN(""), nil)
		db.SetMaxOpenConns(1)
		ctx := kit.Timeout(t, 30*time.Second)
		for n := range 20 {
			var got int
			query, args := "SELECT ?", []any{n}
			if n%2 == 1 {
				query, args = fmt.Sprint("SELECT ", n), nil
			}
			if err := db.QueryRowContext(ctx, query, args...).Scan(&got); err != nil || got != n {
				t.Fatalf("asked for %d, got %d, %v", n, got, err)
			}
			if _, err := db.ExecContext(ctx, "DO ?", n); err != nil {
				t.Fatal(err)
			}
		}
		if <-asked {
			t.Error("this go-sql-driver asks for query attributes")
		}
		reports.None(t)
	})
}
