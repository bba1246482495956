package bench

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/XSAM/otelsql"
	"github.com/go-sql-driver/mysql"
	seqguard "github.com/seqguard/mysql-seqguard"
)

// Without BENCH_DSN the driver talks to a connection in memory that has the
// answers ready: no system call, no other process, so what differs is what the
// driver does.
func canned(b *testing.B, name string, otel bool) *sql.DB {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd = "user", "password"
	cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) { return newCannedConn(), nil }
	var c driver.Connector
	var err error
	switch name {
	case "seqguard":
		c, err = seqguard.NewConnector(cfg)
	default:
		c, err = mysql.NewConnector(cfg)
	}
	if err != nil {
		b.Fatal(err)
	}
	if otel {
		return otelsql.OpenDB(c)
	}
	return sql.OpenDB(c)
}

type cannedConn struct{ out []byte }

func newCannedConn() *cannedConn { return &cannedConn{out: greeting(0)} }

func (c *cannedConn) Read(p []byte) (int, error) {
	if len(c.out) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

func (c *cannedConn) Write(p []byte) (int, error) {
	switch body := p[4:]; {
	case p[3] == 1:
		c.out = packet(nil, 2, okPayload)
	case body[0] == 0x16: // COM_STMT_PREPARE
		c.out = answers.prepared()
	case body[0] == 0x17: // COM_STMT_EXECUTE
		c.out = answers.point()
	case bytes.Contains(body, []byte("FROM benchblob")):
		c.out = answers.blob()
	case bytes.Contains(body, []byte("FROM bench")):
		c.out = answers.scan()
	case bytes.Contains(body, []byte("SELECT 1")):
		c.out = answers.one()
	default:
		c.out = answers.ok()
	}
	return len(p), nil
}

func (c *cannedConn) Close() error                     { return nil }
func (c *cannedConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *cannedConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *cannedConn) SetDeadline(time.Time) error      { return nil }
func (c *cannedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *cannedConn) SetWriteDeadline(time.Time) error { return nil }

var okPayload = []byte{0, 0, 0, 2, 0, 0, 0}

func packet(b []byte, seq byte, payload []byte) []byte {
	b = append(b, byte(len(payload)), byte(len(payload)>>8), byte(len(payload)>>16), seq)
	return append(b, payload...)
}

// greeting is one of a server that has protocol 4.1, plugins, and more.
func greeting(more uint32) []byte {
	caps := more | 1<<9 | 1<<15 | 1<<19 | 1<<0 | 1<<13
	p := append([]byte{10}, "9.7.0-canned\x00"...)
	p = binary.LittleEndian.AppendUint32(p, 7)
	p = append(p, "12345678\x00"...)
	p = binary.LittleEndian.AppendUint16(p, uint16(caps))
	p = append(p, 45, 2, 0)
	p = binary.LittleEndian.AppendUint16(p, uint16(caps>>16))
	p = append(p, 21)
	p = append(p, make([]byte, 10)...)
	p = append(p, "123456789012\x00mysql_native_password\x00"...)
	return packet(nil, 0, p)
}

// answers are made when they are asked for first.
var answers = struct{ ok, one, prepared, point, scan, blob func() []byte }{
	ok:  sync.OnceValue(func() []byte { return packet(nil, 1, okPayload) }),
	one: sync.OnceValue(func() []byte { return result(1, 1, func(int) []byte { return text("1") }) }),
	prepared: sync.OnceValue(func() []byte {
		b := packet(nil, 1, []byte{0, 1, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0}) // three columns, one parameter
		b = packet(packet(b, 2, column), 3, eof)
		return packet(packet(packet(packet(b, 4, column), 5, column), 6, column), 7, eof)
	}),
	point: sync.OnceValue(func() []byte {
		return result(3, 1, func(int) []byte { return append([]byte{0, 0}, text("7", "value-7", "1.5")...) })
	}),
	scan: sync.OnceValue(func() []byte {
		return result(4, 100000, func(i int) []byte {
			return text(strconv.Itoa(i), "value-"+strconv.Itoa(i), "1.5", "2026-01-01 00:00:00")
		})
	}),
	blob: sync.OnceValue(blobResult),
}

func text(values ...string) (b []byte) {
	for _, v := range values {
		b = append(append(b, byte(len(v))), v...)
	}
	return b
}

func head(columns int) ([]byte, byte) {
	b := packet(nil, 1, []byte{byte(columns)})
	seq := byte(2)
	for range columns {
		b = packet(b, seq, column)
		seq++
	}
	return packet(b, seq, eof), seq + 1
}

// column is the definition of a string.
var column = append(text("def", "", "", "", "c", ""), 12, 45, 0, 255, 0, 0, 0, 253, 0, 0, 0, 0, 0)

var eof = []byte{0xFE, 0, 0, 2, 0}

func result(columns, rows int, row func(i int) []byte) []byte {
	b, seq := head(columns)
	for i := range rows {
		b = packet(b, seq, row(i))
		seq++
	}
	return packet(b, seq, eof)
}

func blobResult() []byte {
	b, seq := head(1)
	payload := append([]byte{0xFE}, binary.LittleEndian.AppendUint64(nil, blobLen)...)
	payload = append(payload, make([]byte, blobLen)...)
	const most = 1<<24 - 1
	b = packet(b, seq, payload[:most])
	b = packet(b, seq+1, payload[most:])
	return packet(b, seq+2, eof)
}
