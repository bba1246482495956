package reassemble

import (
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
)

// Side is one of the two ends of a connection.
type Side uint8

const (
	Client Side = iota // who sent the SYN, as far as is known
	Server
)

// Other returns the end opposite.
func (s Side) Other() Side { return s ^ 1 }

// End is how a direction ended.
type End uint8

const (
	EndFIN   End = iota
	EndReset     // by that side
	EndLeft      // it did not: the capture ended, or the connection was put aside for others
)

// Handler is told what a connection said. Times are nanoseconds since 1970 and
// never go back. It is called by one goroutine at a time.
type Handler interface {
	// Bytes are the next ones of a direction, valid during the call.
	Bytes(from Side, p []byte, at int64)
	// Gap: so many bytes passed that the capture does not have.
	Gap(from Side, n int64, at int64)
	// End of a direction.
	End(from Side, how End, at int64)
	// Gone is the last call: all that is known has been told.
	Gone(at int64)
}

// Flow is one TCP connection.
type Flow struct {
	Ends [2]capture.Addr // by Side
	// Middle: the capture does not have the beginning.
	Middle bool
	// The handshake: when its three segments were captured, 0 if that is not known.
	SYN, SYNACK, ACKed int64
	First, Last        int64 // segments

	Segments [2]uint64 // by Side, with payload
	Again    [2]uint64 // segments whose bytes had all come before
	Late     [2]uint64 // segments that came before their turn
	Overlap  [2]uint64 // segments of which a part had come before
	Lost     [2]int64  // bytes in gaps

	handler Handler // nil: nobody wants to know
	half    [2]half
	told    int64 // the latest time that the handler was given
	done    bool
	reset   *reset // nil: none waits

	key       key
	newer     *Flow // in the order of use
	older     *Flow
	waits     int // held segments of both directions
	inWaiting bool
	swap      bool   // side 0 of the key is the server
	isn       uint32 // of the SYN, to know another one
}

// half is one direction.
type half struct {
	next  uint32 // number of the next byte
	known bool   // next is
	acked uint32 // the other end had all before it
	ended bool

	held      []held // by sequence number
	heldBytes int
}

// held is a segment that waits for what comes before it.
type held struct {
	seq, ack uint32
	hasAck   bool
	fin      bool
	cut      int
	at       int64
	payload  []byte // a copy
}

func (h *held) end() uint32 { return h.seq + uint32(len(h.payload)+h.cut) + b2u(h.fin) }

func b2u(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// after reports whether sequence number a lies behind b.
func after(a, b uint32) bool { return int32(a-b) > 0 }
