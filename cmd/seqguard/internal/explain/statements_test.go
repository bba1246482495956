package explain

import (
	"bytes"
	"compress/zlib"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestSQLBehindGap: behind lost bytes of the client each command has its own text
// again, or none.
func TestSQLBehindGap(t *testing.T) {
	ok := mysqltest.Packet(1, mysqltest.OKPayload(0, 0, 2, 0))
	for _, lost := range []int{0, 1, 2} { // segments of the long statement
		s := newScript(t, 3306, atClient)
		s.login()
		long := mysqltest.Packet(0, []byte("\x03INSERT "+strings.Repeat("x", 2993)))
		at := len(s.frames)
		for i := 0; i < len(long); i += 1000 {
			s.say(client, long[i:min(i+1000, len(long))])
		}
		s.say(server, ok)
		for _, q := range []string{"DO 1", "DELETE FROM a", "DELETE FROM b", "TRUNCATE c"} {
			s.say(client, mysqltest.Packet(0, []byte("\x03"+q)))
			s.say(server, ok)
		}
		s.quit()
		_, out := explained(t, s.file(func(i int) bool { return i != at+lost }), Options{Packets: true, SQL: true})
		for q, length := range map[string]string{"DELETE FROM a": "14 bytes", "DELETE FROM b": "14 bytes", "TRUNCATE c": "11 bytes"} {
			i := strings.Index(out, q)
			if i < 0 || !strings.Contains(out[strings.LastIndexByte(out[:i], '\n'):i], length) {
				t.Errorf("segment %d lost: %q is not shown, or not beside its packet:\n%s", lost, q, out)
			}
		}
		if strings.Count(out, "DELETE FROM a") > 1 {
			t.Errorf("segment %d lost: a text is shown twice:\n%s", lost, out)
		}
	}
}

// TestSQLInTheMiddle: of a connection whose beginning is missing.
func TestSQLInTheMiddle(t *testing.T) {
	s := newScript(t, 3306, atClient)
	s.login()
	s.say(client, mysqltest.Packet(0, []byte("\x03INSERT "+strings.Repeat("\x40\x00\x00\x00", 700)))[1400:])
	s.say(server, mysqltest.Packet(1, mysqltest.OKPayload(0, 0, 2, 0)))
	s.selectRows(1)
	_, out := explained(t, s.file(func(i int) bool { return i > 5 }), Options{Packets: true, SQL: true})
	if !strings.Contains(out, "SELECT secret FROM t") {
		t.Errorf("no text:\n%s", out)
	}
}

// TestSQLCompressed: what is compressed is no text.
func TestSQLCompressed(t *testing.T) {
	s := newScript(t, 3306, atClient)
	caps := uint32(mysqltest.DefaultCapabilities) | 1<<9 | 1<<5
	head := make([]byte, 32)
	for i := range 4 {
		head[i] = byte(caps >> (8 * i))
	}
	s.say(server, mysqltest.Packet(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{Capabilities: caps})))
	s.say(client, mysqltest.Packet(1, append(head, "shop\x00\x00"...)))
	s.say(server, mysqltest.Packet(2, mysqltest.OKPayload(0, 0, 2, 0)))
	query := mysqltest.Packet(0, []byte("\x03SELECT "+strings.Repeat("a", 0x103-4-8)))
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write(query)
	_ = w.Close()
	n := len(query) // its first byte is that of COM_QUERY
	frame := append([]byte{byte(z.Len()), 0, 0, 0, byte(n), byte(n >> 8), 0}, z.Bytes()...)
	s.say(client, frame)
	ok := mysqltest.Packet(1, mysqltest.OKPayload(0, 0, 2, 0))
	s.say(server, append([]byte{byte(len(ok)), 0, 0, 1, 0, 0, 0}, ok...))
	s.send(client, capture.FIN|capture.ACK, nil)
	_, plain := explained(t, s.file(nil), Options{Packets: true})
	_, out := explained(t, s.file(nil), Options{Packets: true, SQL: true})
	if !strings.Contains(out, "COM_QUERY") || !strings.Contains(out, "compressed") || out != plain {
		t.Errorf("with -sql:\n%s\nwithout:\n%s", out, plain)
	}
}
