package cause

import (
	"fmt"
	"time"
)

// Transport is what the kernel knows of a TCP connection at the moment of a
// failure. It shows what no packet shows: whether the other side's kernel has what
// was written. Its zero value means that nothing is known: the connection is not over
// TCP, it was closed already, or the system cannot be asked.
//
// The other side is the end of the TCP connection. Behind a proxy or a load balancer
// of layer 7, that is the proxy or the balancer.
type Transport struct {
	Known bool
	State TCPState

	// Written are the bytes that this process has handed to the kernel on this
	// connection, Acked those of them that the other side's kernel has
	// acknowledged, NotSent those that have not left yet.
	Written, Acked, NotSent uint64
	// Retransmitted counts segments that were sent again, ever. Unanswered
	// counts those sent again in a row that are without an answer now.
	Retransmitted, Unanswered uint32
	// Full: bytes wait here because the other side's receive buffer has no room:
	// whoever should read there does not.
	Full bool

	// RTT is the smoothed round-trip time, LeastRTT the least of those that were
	// sampled. A request and its answer may make one sample together, so that a
	// round trip can take the time of a statement: LeastRTT is the network's
	// only because the handshake of TCP is among the samples.
	RTT, LeastRTT time.Duration
	// SinceData and SinceAck are the time since the last data and since the last
	// acknowledgement came from the other side.
	SinceData, SinceAck time.Duration
}

// TCPState is the state of a TCP connection, RFC 9293, section 3.3.2.
type TCPState uint8

// The numbers are those of Linux (include/net/tcp_states.h).
const (
	TCPUnknown TCPState = iota
	TCPEstablished
	TCPSynSent
	TCPSynReceived
	TCPFinWait1
	TCPFinWait2
	TCPTimeWait
	TCPClosed
	TCPCloseWait
	TCPLastAck
	TCPListen
	TCPClosing
)

var tcpStateNames = [...]string{
	"unknown", "established", "syn sent", "syn received", "fin wait 1", "fin wait 2", "time wait", "closed", "close wait", "last ack", "listen", "closing",
}

func (s TCPState) String() string {
	if int(s) < len(tcpStateNames) {
		return tcpStateNames[s]
	}
	return "invalid tcp state"
}

// Delivery is what a Transport proves about the bytes that were written.
type Delivery uint8

const (
	// DeliveryUnknown: nothing is proved. It is also what there is right after a
	// write: the acknowledgement takes its round trip.
	DeliveryUnknown Delivery = iota
	// Delivered: the other side's kernel has all that was written. Whether
	// anybody there has read it is another matter.
	Delivered
	// Undelivered: a part was sent more than once and never acknowledged, and
	// nothing has come from the other side since. It does not prove that the
	// part did not arrive: the acknowledgement may have been lost, or a peer
	// that read it may have ended the connection before it acknowledged.
	Undelivered
	// NoRoom: the other side's kernel answers, and its receive buffer is full.
	NoRoom
)

var deliveryNames = [...]string{"unknown", "delivered", "undelivered", "no room"}

func (d Delivery) String() string {
	if int(d) < len(deliveryNames) {
		return deliveryNames[d]
	}
	return "invalid delivery"
}

// Delivery says what t proves.
func (t *Transport) Delivery() Delivery {
	switch {
	case !t.Known || t.Written == 0:
		return DeliveryUnknown
	case t.Acked >= t.Written:
		return Delivered
	case t.Full:
		return NoRoom
	case t.Unanswered > 0:
		return Undelivered
	}
	return DeliveryUnknown
}

// outstanding is how many bytes were not acknowledged.
func (t *Transport) outstanding() uint64 {
	if t.Acked >= t.Written {
		return 0
	}
	return t.Written - t.Acked
}

// String is the testimony in one line, empty if there is none.
func (t *Transport) String() string {
	if !t.Known {
		return ""
	}
	s := fmt.Sprintf("%s, %d of %d bytes acknowledged", t.State, min(t.Acked, t.Written), t.Written)
	if t.NotSent > 0 {
		s += fmt.Sprintf(", %d not sent", t.NotSent)
	}
	switch {
	case t.Unanswered > 0:
		s += ", retransmitted " + times(t.Unanswered) + " without an answer"
	case t.Retransmitted > 0:
		s += fmt.Sprintf(", %d retransmitted", t.Retransmitted)
	}
	if t.Full {
		s += ", no room at the other side"
	}
	if t.RTT > 0 {
		s += fmt.Sprintf(", round trip %s", micro(t.RTT))
	}
	if t.LeastRTT > 0 {
		s += fmt.Sprintf(" (least %s)", micro(t.LeastRTT))
	}
	return s + fmt.Sprintf(", last data %s ago, last acknowledgement %s ago", ago(t.SinceData), ago(t.SinceAck))
}

func times(n uint32) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// ago is dur for what the kernel counts in milliseconds: 0 is a measurement.
func ago(d time.Duration) string {
	if d < time.Millisecond {
		return "0 ms"
	}
	return dur(d)
}

// micro is dur down to the microsecond, as round trips need it.
func micro(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	}
	return dur(d)
}

// tooEarly reports whether what began to come so long after a command was
// written was under way before: it would have needed less than half of the least
// round trip. The half is the margin for a path that has become shorter.
func (t *Transport) tooEarly(after time.Duration) bool {
	return t.Known && after > 0 && t.LeastRTT >= leastTellingRTT && after < t.LeastRTT/2
}

// leastTellingRTT is the round-trip time below which the clock and the kernel's
// own work are too coarse to tell anything by it.
const leastTellingRTT = 200 * time.Microsecond
