package proxy

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// BenchmarkScan: rows of a result through the proxy, and past it.
func BenchmarkScan(b *testing.B) {
	const rows = 2000
	row := mysqltest.TextRowPayload(strings.Repeat("x", 200))
	var all []byte
	seq := uint8(3)
	for range rows { // whole rounds of ids, so that the block can come again and again
		for range 256 {
			all = append(all, mysqltest.Packet(seq, row)...)
			seq++
		}
		if len(all) > 4<<20 {
			break
		}
	}
	head := append(mysqltest.Packet(1, []byte{1}), mysqltest.Packet(2, mysqltest.ColumnPayload(mysqltest.Column{Name: "1", Type: mysqltest.TypeLongLong}))...)
	server := mysqltest.Accept(b, func(c net.Conn) {
		if !letIn(c) {
			return
		}
		_, _ = io.ReadFull(c, make([]byte, 13))
		_, _ = c.Write(head)
		for {
			if _, err := c.Write(all); err != nil {
				return
			}
		}
	}).Addr().String()
	_, through := startProxy(b, Config{Server: server})
	for name, addr := range map[string]string{"direct": server, "proxy": through} {
		b.Run(name, func(b *testing.B) {
			c := dialLogin(b, addr)
			_ = c.SetDeadline(time.Time{})
			defer func() { _ = c.Close() }()
			_, _ = c.Write(mysqltest.Packet(0, []byte("\x03SELECT x")))
			if _, err := io.ReadFull(c, make([]byte, len(head))); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(all)))
			buf := make([]byte, 16<<10) // as a client reads
			b.ResetTimer()
			for range b.N {
				for left := len(all); left > 0; {
					n, err := c.Read(buf[:min(left, len(buf))])
					if err != nil {
						b.Fatal(err)
					}
					left -= n
				}
			}
		})
	}
}
