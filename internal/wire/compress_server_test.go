package wire

import (
	"bytes"
	"compress/zlib"
	"context"
	"database/sql"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// tapped is a connection whose two directions are recorded and viewed. Client
// and server may speak at the same time when an answer comes early.
type tapped struct {
	net.Conn
	mu       sync.Mutex
	in, out  direction
	loggedIn bool
}

// direction is one direction of a tapped connection, from the OK of the login on.
type direction struct {
	inflation
	raw bytes.Buffer
}

func tap(c net.Conn) *tapped {
	t := &tapped{Conn: c}
	for _, d := range []*direction{&t.in, &t.out} {
		d.recorder = newRecorder()
		d.f.Init(d.r, d)
	}
	return t
}

func (t *tapped) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	b = b[:n]
	if !t.loggedIn {
		t.in.onPacket = func(h Header) {
			if p := t.in.all[len(t.in.all)-1].prefix; h.Seq > 0 && p[0] == 0 {
				t.in.r.Stop()
				t.loggedIn = true
			}
		}
		b = b[t.in.r.Feed(b):]
		if !t.loggedIn {
			return n, err
		}
		t.in.all, t.in.onPacket = nil, nil
		t.in.runs, t.out.runs = true, true
	}
	t.in.raw.Write(b)
	t.in.f.Feed(b)
	return n, err
}

func (t *tapped) Write(b []byte) (int, error) {
	n, err := t.Conn.Write(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.loggedIn {
		t.out.raw.Write(b[:n])
		t.out.f.Feed(b[:n])
	}
	return n, err
}

// compare decodes what was recorded the plain way, and compares.
func (d *direction) compare(t *testing.T) (payload int, zipped int) {
	var frames []FrameHeader
	var packets []byte
	for b := d.raw.Bytes(); len(b) > 0; {
		h := parseFrameHeader(b)
		frames = append(frames, h)
		body := b[frameHeaderLen:][:h.Length]
		b = b[frameHeaderLen+len(body):]
		if h.Inflated > 0 {
			z, err := zlib.NewReader(bytes.NewReader(body))
			if err == nil {
				body, err = io.ReadAll(z)
			}
			if err != nil || len(body) != int(h.Inflated) {
				t.Fatalf("frame of %d bytes: %v", len(body), err)
			}
			zipped++
		}
		packets = append(packets, body...)
	}
	d.whole(t, frames, parse(packets, ShortPrefix))
	if d.f.Missing() != 0 || d.r.Missing() != 0 {
		t.Errorf("at the end %d and %d bytes missing", d.f.Missing(), d.r.Missing())
	}
	return len(packets), zipped
}

// The view of a real server's frames equals what they are when all is inflated.
func TestInflaterRealServers(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		config, err := mysql.ParseDSN(server.RootDSN("compress=true"))
		if err != nil {
			t.Fatal(err)
		}
		var conn *tapped
		config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			conn = tap(c)
			return conn, nil
		}
		connector, err := mysql.NewConnector(config)
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(connector)
		db.SetMaxOpenConns(1)
		ctx := t.Context()
		c, err := db.Conn(ctx)
		if err != nil {
			t.Fatal(err)
		}

		exec := func(query string, args ...any) {
			t.Helper()
			if _, err := c.ExecContext(ctx, query, args...); err != nil {
				t.Fatal(err)
			}
		}
		query := func(query string, args ...any) (rows, size int) {
			t.Helper()
			r, err := c.QueryContext(ctx, query, args...)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for r.Next() {
				var b sql.RawBytes
				if err := r.Scan(&b); err != nil {
					t.Fatal(err)
				}
				rows, size = rows+1, size+len(b)
			}
			if r.Err() != nil {
				t.Fatal(r.Err())
			}
			return rows, size
		}

		query("SELECT 1")
		exec("CREATE TEMPORARY TABLE blobs (id INT, b LONGBLOB)")
		noise := incompressible(3 << 20)
		text := []byte(strings.Repeat("as compressible as it gets ", 100000))
		for i, blob := range [][]byte{nil, noise[:149], noise[:5000], text[:5000], noise, text} {
			exec("INSERT INTO blobs VALUES (?, ?)", i, blob)
		}
		if rows, size := query("SELECT b FROM blobs ORDER BY id"); rows != 6 || size != 149+10000+len(noise)+len(text) {
			t.Errorf("%d rows, %d bytes", rows, size)
		}
		digits := "(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)"
		many := "SELECT CONCAT('row ', a.d, b.d, c.d, d.d) FROM " + digits + " a, " + digits + " b, " + digits + " c, " + digits + " d"
		for range 2 {
			if rows, _ := query(many); rows != 10000 {
				t.Errorf("%d rows", rows)
			}
		}
		if rows, _ := query("SELECT a.b FROM blobs a WHERE a.id = ?", 2); rows != 1 {
			t.Errorf("%d rows", rows)
		}
		if _, err := c.ExecContext(ctx, "NONSENSE"); err == nil {
			t.Error("nonsense was executed")
		}
		c.Close()
		db.Close()

		for name, d := range map[string]*direction{"server": &conn.in, "client": &conn.out} {
			payload, zipped := d.compare(t)
			t.Logf("%s: %d frames, %d of them compressed, %d packets, %d bytes, %d inflated", name, len(d.frames), zipped, len(d.all), payload, d.f.inflated)
			if zipped == 0 {
				t.Errorf("%s: nothing was compressed", name)
			}
		}
	})
}
