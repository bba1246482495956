package wire_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// A relay changes bytes of a deflated frame.
func TestCompressedFrameCorrupted(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		for name, spoil := range map[string]func(b []byte){
			"header":   func(b []byte) { b[7] ^= 0xFF },
			"middle":   func(b []byte) { b[12] ^= 0x55; b[13] ^= 0xFF },
			"checksum": func(b []byte) { b[6+int(b[0])|int(b[1])<<8] ^= 1 },
			"length":   func(b []byte) { b[4]-- },
		} {
			t.Run(name, func(t *testing.T) {
				done := false
				relay := mysqltest.NewRelay(t, server.Addr, func(p mysqltest.RelayPacket) (a mysqltest.Action) {
					if done || !p.Raw || p.From != mysqltest.FromServer || len(p.Bytes) < 20 || p.Bytes[4]|p.Bytes[5]|p.Bytes[6] == 0 {
						return a
					}
					done = true
					spoil(p.Bytes)
					return mysqltest.Action{Drop: true, Before: p.Bytes}
				})
				db, c := kit.Open(t, relay.DSN("compress=true"), nil)
				var s string
				err := db.QueryRowContext(kit.Timeout(t, 10*time.Second), "SELECT REPEAT('abc', 500)").Scan(&s)
				if !done {
					t.Fatal("no deflated frame came: the test is wrong")
				}
				if r := kit.WantCause(t, err, c, "compression_corrupt"); r.Evidence.Compression == "" {
					t.Error("what is wrong with the frame is not said")
				}
			})
		}
	})
}

// A frame that holds more than it announces costs no more than it announces. The
// client here is none of MySQL's, and what the frame holds is little.
func TestFrameHoldsMoreThanItAnnounces(t *testing.T) {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	answer := mysqltest.Packet(1, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0))
	_, _ = w.Write(answer)
	const more = 2 << 20
	_, _ = w.Write(make([]byte, more))
	_ = w.Close()
	for name, c := range map[string]struct{ announced, most int }{
		"announces less": {len(answer), more / 4}, // of which most is the inflater's own
		"announces more": {maxPacket, maxPacket + more},
	} {
		t.Run(name, func(t *testing.T) {
			n, announced, most := z.Len(), c.announced, uint64(c.most)
			frame := append([]byte{byte(n), byte(n >> 8), byte(n >> 16), 1, byte(announced), byte(announced >> 8), byte(announced >> 16)}, z.Bytes()...)
			var reports []*wrapconn.Report
			client, server := net.Pipe()
			defer server.Close()
			c := wrapconn.New(client, wrapconn.Options{OnReport: func(_ context.Context, r *wrapconn.Report) { reports = append(reports, r) }})
			defer c.Close()
			capabilities := uint32(mysqltest.DefaultCapabilities | mysqltest.CapCompress)
			login := binary.LittleEndian.AppendUint32(nil, capabilities)
			login = append(append(login, make([]byte, 28)...), "user\x00\x00"...)
			go func() {
				in := make([]byte, 1000)
				_, _ = server.Write(mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{Capabilities: capabilities})))
				_, _ = server.Read(in)
				_, _ = server.Write(mysqltest.Packet(2, mysqltest.OKPayload(0, 0, mysqltest.StatusAutocommit, 0)))
				_, _ = server.Read(in)
				_, _ = server.Write(frame)
				_ = server.Close()
			}()
			in := make([]byte, 1<<16)
			read := func() { _, _ = c.Read(in) }
			read()
			_, _ = c.Write(mysqltest.Packet(1, login))
			read()
			_, _ = c.Write(append([]byte{9, 0, 0, 0, 0, 0, 0}, mysqltest.Packet(0, []byte("\x03DO 1"))...))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			for {
				if _, err := c.Read(in); err != nil {
					break
				}
			}
			runtime.ReadMemStats(&after)
			t.Logf("%d KB were allocated, in %v", (after.TotalAlloc-before.TotalAlloc)>>10, time.Since(start))
			if n := after.TotalAlloc - before.TotalAlloc; n > most {
				t.Errorf("%d KB were allocated, want at most %d", n>>10, most>>10)
			}
			if len(reports) == 0 {
				t.Error("no report")
			}
			for _, r := range reports {
				t.Log(r, r.Timeline())
			}
		})
	}
}
