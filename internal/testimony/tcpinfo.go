package testimony

import (
	"encoding/binary"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// Where the members of Linux's struct tcp_info lie (include/uapi/linux/tcp.h).
// It only ever grows at its end; an older kernel returns less of it.
const (
	offState         = 0
	offRetransmits   = 2 // timeouts in a row
	offProbes        = 3
	offInFlight      = 24 // segments that left and are not acknowledged
	offLastDataSent  = 44 // begins when the handshake is over
	offLastDataRecv  = 52
	offLastAckRecv   = 56
	offRTT           = 68
	offTotalRetrans  = 100
	offBytesAcked    = 120 // since Linux 4.1
	offBytesReceived = 128
	offNotSent       = 144 // since Linux 4.6
	offMinRTT        = 148
	offBytesSent     = 200 // since Linux 4.19
	offBytesRetrans  = 208
	offSendWindow    = 228 // since Linux 5.4
	tcpInfoNeeded    = 216
	tcpInfoSize      = 256 // what is asked for
	tcpMinRTTUnknown = 1<<32 - 1
)

// leastRTT is 0 if there was no sample.
func leastRTT(b []byte) time.Duration {
	n := binary.NativeEndian.Uint32(b[offMinRTT:])
	if n == tcpMinRTTUnknown {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// persistence is the least time after which Linux probes a window (TCP_RTO_MIN).
const persistence = 200 * time.Millisecond

// parseTCPInfo reads what the kernel returned. Less than the members that are
// needed is not known.
func parseTCPInfo(b []byte) cause.Transport {
	if len(b) < tcpInfoNeeded {
		return cause.Transport{}
	}
	u32 := func(off int) uint32 { return binary.NativeEndian.Uint32(b[off:]) }
	u64 := func(off int) uint64 { return binary.NativeEndian.Uint64(b[off:]) }
	us := func(off int) time.Duration { return time.Duration(u32(off)) * time.Microsecond }
	ms := func(off int) time.Duration { return time.Duration(u32(off)) * time.Millisecond }
	t := cause.Transport{
		Known: true, State: cause.TCPState(b[offState]), NotSent: uint64(u32(offNotSent)),
		Unanswered: uint32(b[offRetransmits]), Retransmitted: u32(offTotalRetrans),
		RTT: us(offRTT), LeastRTT: leastRTT(b), SinceData: ms(offLastDataRecv), SinceAck: ms(offLastAckRecv),
	}
	// The SYN of the one who connects is acknowledged as one byte and is none.
	if acked := u64(offBytesAcked); acked > 0 {
		t.Acked = acked - 1
	}
	// What was sent again counts twice in the first. The kernel's own count also
	// has what others wrote to the socket, such as the request to a SOCKS proxy.
	if sent, again := u64(offBytesSent), u64(offBytesRetrans); sent >= again {
		t.Written = sent - again + t.NotSent
	}
	t.Acked = min(t.Acked, t.Written)
	// The count of probes starts anew with each answer to one, and an answer
	// says that there is still no room.
	noWindow := len(b) >= offSendWindow+4 && u32(offSendWindow) == 0
	// Nor does a window have to be closed: one that has less room than a segment
	// keeps the kernel from sending. With nothing in flight, nothing else does for
	// longer than a moment.
	tooSmall := u32(offInFlight) == 0 && t.SinceAck >= persistence
	t.Full = t.NotSent > 0 && (noWindow || b[offProbes] > 0 || tooSmall)
	return t
}

// parseArrival reads what was returned of a connection on which nothing was
// written. The end of what the peer sends counts as a byte of it.
func parseArrival(b []byte) Arrival {
	if len(b) < tcpInfoNeeded {
		return Arrival{}
	}
	ms := func(off int) time.Duration {
		return time.Duration(binary.NativeEndian.Uint32(b[off:])) * time.Millisecond
	}
	a := Arrival{Known: true, LeastRTT: leastRTT(b), Made: ms(offLastDataSent), Since: ms(offLastDataRecv)}
	a.Ended = cause.TCPState(b[offState]) != cause.TCPEstablished
	a.Data = binary.NativeEndian.Uint64(b[offBytesReceived:]) > 0
	return a
}
