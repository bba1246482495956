package explain

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture/capturetest"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestKillBehindTheEnd: a stream of binlog events that its reader has had killed is no
// violation, wherever the capture has the KILL; it is one if nobody has asked for it, and
// is told in front of its connection's summary.
func TestKillBehindTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name  string
		kill  uint32 // the greetings say 1
		delay int64  // of the KILL, behind the end
		want  int
	}{
		{"in front", 1, -1e5, 0},
		{"at once", 1, 0, 0},
		{"behind", 1, 20e6, 0},
		{"much later", 1, 2 * killGrace, 1},
		{"of another one", 2, 20e6, 1},
		{"none", 0, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			other := newScriptFrom(t, 40001, 4000, between)
			other.login()
			dump := newScript(t, 4000, between)
			dump.login()
			dump.say(client, mysqltest.Packet(0, []byte("\x12\x04\x00\x00\x00\x00\x00\x01\x00\x00\x00")))
			dump.say(server, mysqltest.Packet(1, []byte("\x00an event")))
			killed := len(dump.frames)
			dump.at += 1e6
			end := dump.at
			dump.send(server, capture.FIN|capture.ACK, nil)
			dump.send(client, capture.FIN|capture.ACK, nil)
			dump.send(server, capture.ACK, nil)

			var file bytes.Buffer
			w, err := capturetest.NewWriter(&file, capture.LinkEthernet)
			if err != nil {
				t.Fatal(err)
			}
			write := func(s *script, from, to int) {
				for i := from; i < to; i++ {
					_ = w.Write(s.times[i], s.frames[i], 0)
				}
			}
			asked := len(other.frames)
			if tt.kill != 0 {
				other.at = end + tt.delay - 1e5
				other.say(client, mysqltest.Packet(0, fmt.Appendf(nil, "\x03KILL %d", tt.kill)))
				other.say(server, mysqltest.Packet(1, mysqltest.OKPayload(0, 0, 2, 0)))
			}
			write(other, 0, asked)
			write(dump, 0, killed)
			if tt.delay < 0 {
				write(other, asked, len(other.frames))
			}
			write(dump, killed, len(dump.frames))
			if tt.delay >= 0 {
				write(other, asked, len(other.frames))
			}
			total, out := explained(t, file.Bytes(), Options{})
			if total.Violations != tt.want || total.Connections != 2 {
				t.Errorf("%d violations, %d connections; want %d and 2\n%s", total.Violations, total.Connections, tt.want, out)
			}
			report, summary := strings.Index(out, "connection_lost_mid_answer"), strings.Index(out, "10.0.0.7:40000 →")
			if (report >= 0) != (tt.want > 0) || summary < report {
				t.Errorf("the report stands at %d, the summary at %d:\n%s", report, summary, out)
			}
		})
	}
}

// Those that wait are bounded, and all are told.
func TestEndedAreBounded(t *testing.T) {
	var file bytes.Buffer
	w, err := capturetest.NewWriter(&file, capture.LinkEthernet)
	if err != nil {
		t.Fatal(err)
	}
	const n = maxEnded + 50
	for i := range n {
		s := newScriptFrom(t, uint16(10000+i), 4000, between)
		s.login()
		s.say(client, mysqltest.Packet(0, []byte("\x12\x04\x00\x00\x00\x00\x00\x01\x00\x00\x00")))
		s.say(server, mysqltest.Packet(1, []byte("\x00an event")))
		s.send(server, capture.FIN|capture.ACK, nil)
		s.send(client, capture.FIN|capture.ACK, nil)
		for j, f := range s.frames {
			_ = w.Write(s.times[j], f, 0)
		}
	}
	total, _ := explained(t, file.Bytes(), Options{JSON: true})
	if total.Violations != n || total.Connections != n {
		t.Errorf("%d violations of %d connections, want %d", total.Violations, total.Connections, n)
	}
}
