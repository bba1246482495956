package testimony

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// info is what Linux 6.18 would return.
func info(set map[int]uint64) []byte {
	b := make([]byte, 248)
	for off, v := range set {
		switch off {
		case offState, offRetransmits, offProbes:
			b[off] = byte(v)
		case offBytesAcked, offBytesReceived, offBytesSent, offBytesRetrans:
			binary.NativeEndian.PutUint64(b[off:], v)
		default:
			binary.NativeEndian.PutUint32(b[off:], uint32(v))
		}
	}
	return b
}

func TestParseTCPInfo(t *testing.T) {
	whole := info(map[int]uint64{
		offState: 1, offBytesAcked: 101, offBytesSent: 150, offBytesRetrans: 50, offNotSent: 7, offRTT: 1500, offMinRTT: 900,
		offSendWindow: 65536, offLastDataRecv: 12000, offLastAckRecv: 11000, offTotalRetrans: 3, offRetransmits: 2, offInFlight: 1,
	})
	want := cause.Transport{
		Known: true, State: cause.TCPEstablished, Written: 107, Acked: 100, NotSent: 7, Retransmitted: 3, Unanswered: 2,
		RTT: 1500 * time.Microsecond, LeastRTT: 900 * time.Microsecond, SinceData: 12 * time.Second, SinceAck: 11 * time.Second,
	}
	if got := parseTCPInfo(whole); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// The FIN of this side is acknowledged as a byte too.
	if got := parseTCPInfo(info(map[int]uint64{offBytesAcked: 102, offBytesSent: 100})); got.Acked != 100 || got.Written != 100 {
		t.Errorf("with a FIN: %d of %d", got.Acked, got.Written)
	}
	if got := parseTCPInfo(info(map[int]uint64{offMinRTT: tcpMinRTTUnknown})); got.LeastRTT != 0 || got.Acked != 0 {
		t.Errorf("nothing measured: %+v", got)
	}
	if got := parseTCPInfo(info(map[int]uint64{offNotSent: 5, offSendWindow: 0})); !got.Full {
		t.Errorf("no window: %+v", got)
	}
	for _, tt := range []struct {
		set  map[int]uint64
		full bool
	}{
		{map[int]uint64{offNotSent: 5, offSendWindow: 700, offLastAckRecv: 252}, true}, // as seen: less room than a segment
		{map[int]uint64{offNotSent: 5, offSendWindow: 700, offLastAckRecv: 20}, false}, // it may be about to send
		{map[int]uint64{offNotSent: 5, offSendWindow: 700, offLastAckRecv: 252, offInFlight: 3}, false},
		{map[int]uint64{offSendWindow: 700, offLastAckRecv: 252}, false},
	} {
		if got := parseTCPInfo(info(tt.set)); got.Full != tt.full {
			t.Errorf("%v: full %t", tt.set, got.Full)
		}
	}
	for n := range tcpInfoNeeded { // an older kernel
		if got := parseTCPInfo(whole[:n]); got.Known {
			t.Fatalf("known from %d bytes", n)
		}
	}
}

func TestParseArrival(t *testing.T) {
	set := map[int]uint64{offState: 1, offMinRTT: 900, offLastDataSent: 2500, offLastDataRecv: 2400, offBytesReceived: 78}
	want := Arrival{Known: true, LeastRTT: 900 * time.Microsecond, Made: 2500 * time.Millisecond, Data: true, Since: 2400 * time.Millisecond}
	if got := parseArrival(info(set)); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	set[offState], set[offBytesReceived] = uint64(cause.TCPCloseWait), 0
	want.Data, want.Ended = false, true
	if got := parseArrival(info(set)); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for n := range tcpInfoNeeded {
		if got := parseArrival(info(set)[:n]); got != (Arrival{}) {
			t.Fatalf("%+v from %d bytes", got, n)
		}
	}
}
