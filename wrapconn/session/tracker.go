package session

// Packet is what the tracker is told of one packet.
type Packet struct {
	Direction Direction
	Seq       uint8
	Length    uint32 // payload bytes in this packet; 0xFFFFFF: the next one continues it
	Prefix    []byte // the first payload bytes; of a greeting and an ERR, all that matters
}

// Event is what the tracker makes of a packet.
type Event struct {
	Kind      Kind
	Command   Command // of KindCommand
	Violation Violation
	Expected  uint8  // the id that was due
	ErrorCode uint16 // of KindERR
	// Done: this packet ended the answer to a command, or the login.
	Done bool
}

// Tracker follows one conversation. The zero value waits for a greeting.
type Tracker struct {
	phase Phase
	next  uint8 // the id due next, from whichever side speaks
	// continued: the last packet of that direction was of maximal length
	continued [2]bool
	last      Direction // who spoke last

	greeting Greeting
	caps     capabilities // negotiated: both sides have it
	ext      extended
	tls      bool // SSLRequest was seen
	foreign  bool // a dialect that is not followed
	unsure   bool // the login was not seen: see learn
	lenient  bool // inner ids of a compressed conversation: informative only

	cmd     Command // of the answer on the wire, or the last one
	started bool    // a packet of that answer has come
	failed  bool    // it ended with ERR
	left    uint32  // definitions to come in this block
	params  bool    // the block is of COM_STMT_PREPARE's parameters
	columns uint32  // column definitions to come after the parameters
	status  uint16  // server status flags of the last OK or EOF
	infile  int64   // bytes of a file sent in the present exchange
	// authSwitch is the plugin of the server's last AuthSwitchRequest
	authSwitch string
	overrun    bool  // a command was sent while an answer was outstanding, ever
	draining   bool  // the server answered before the client had sent everything
	drainFile  bool  // of a LOCAL INFILE, that is, not of a long command
	drained    uint8 // id that the client's next packet has then

	queue   [maxPending]pending // commands sent while an answer was outstanding
	queued  int
	sent    uint64
	lastERR uint16
	lost    uint64 // times that the conversation became untracked
}

// pending is a command whose answer has not begun because an earlier one is
// not complete.
type pending struct {
	cmd  Command
	next uint8 // id of its answer's first packet
}

const maxPending = 8

// Phase returns where the conversation stands.
func (t *Tracker) Phase() Phase { return t.phase }

// Expected returns the id that the next packet must have. A command has 0,
// whatever Expected says while the phase is PhaseReady.
func (t *Tracker) Expected() uint8 { return t.next }

// Greeting returns what the server said of itself.
func (t *Tracker) Greeting() *Greeting { return &t.greeting }

// Command returns the command whose answer is on the wire or was the last.
func (t *Tracker) Command() Command { return t.cmd }

// Sent returns how many commands the client sent.
func (t *Tracker) Sent() uint64 { return t.sent }

// Continued reports whether the next packet of a direction continues the last
// one, which was of maximal length.
func (t *Tracker) Continued(d Direction) bool { return t.continued[d] }

// Pending returns how many commands wait for the end of their answer.
func (t *Tracker) Pending() int {
	n := t.queued
	if t.phase.Answering() || t.changingUser() {
		n++
	}
	return n
}

// changingUser reports whether the authentication under way is the answer to a
// command, not the login.
func (t *Tracker) changingUser() bool { return t.phase == PhaseAuth && t.cmd == ComChangeUser }

// AnswerStarted reports whether a packet of the last command's answer has come.
func (t *Tracker) AnswerStarted() bool { return t.started }

// AnswerFailed reports whether the last command's answer ended with ERR, and
// with which code.
func (t *Tracker) AnswerFailed() (code uint16, failed bool) { return t.lastERR, t.failed }

// Lost returns how often the conversation became untracked.
func (t *Tracker) Lost() uint64 { return t.lost }

// InTransaction reports what the server said last about a transaction.
func (t *Tracker) InTransaction() bool { return t.status&statusInTransaction != 0 }

// Infile returns how many bytes of a LOCAL INFILE the client sent in the last
// exchange.
func (t *Tracker) Infile() int64 { return t.infile }

// AuthSwitch returns the plugin that the server's last AuthSwitchRequest named,
// "" if there was none.
func (t *Tracker) AuthSwitch() string { return t.authSwitch }

// Overrun reports whether the client ever sent a command while an answer was
// outstanding: answers and questions may not belong together since.
func (t *Tracker) Overrun() bool { return t.overrun }

// TLS reports whether the client asked for TLS.
func (t *Tracker) TLS() bool { return t.tls }

// Compressed reports whether both sides agreed on the zlib compressed protocol.
// It takes effect behind the OK that ends the login.
func (t *Tracker) Compressed() bool {
	return t.caps&clientCompress != 0 && t.caps&clientZstdCompression == 0
}

// Zstd reports whether the sides agreed on zstd compression, which is not
// looked into.
func (t *Tracker) Zstd() bool { return t.caps&clientZstdCompression != 0 && t.caps&clientCompress == 0 }

// Lenient makes the ids of packets informative: inside the compressed protocol
// servers disagree on them.
func (t *Tracker) Lenient() { t.lenient = true }

// Opaque tells the tracker that it will see no more packets.
func (t *Tracker) Opaque() { t.phase = PhaseOpaque }

// untrack gives up following until the next command.
func (t *Tracker) untrack() {
	if t.phase != PhaseUntracked && t.phase != PhaseOpaque {
		t.lost++
	}
	t.phase, t.queued = PhaseUntracked, 0
}

// Rows is Packet for n rows in a row whose ids are known to be contiguous and
// due: the short way for the bulk of a result.
func (t *Tracker) Rows(n int, last uint8) {
	t.next = last + 1
	t.last = FromServer
}

// Packet takes the next packet.
func (t *Tracker) Packet(p Packet) Event {
	ev := Event{Expected: t.next}
	continuation := t.continued[p.Direction]
	t.continued[p.Direction] = p.Length == maxPayload
	previous := t.last
	t.last = p.Direction

	switch {
	case t.phase == PhaseOpaque || t.phase == PhaseClosed:
		return ev
	case t.phase == PhaseUntracked:
		// A client packet that could begin a command, after the server had the
		// word: the exchange that was not understood is over.
		if t.foreign || p.Direction == FromServer || continuation || p.Seq != 0 || len(p.Prefix) == 0 || previous != FromServer {
			return ev
		}
		t.ready()
	case continuation:
		ev.Kind = KindContinuation
		if t.phase == PhaseLocalInfile && p.Direction == FromClient {
			t.infile += int64(p.Length)
		}
		if t.draining && p.Direction == FromClient {
			t.drained++
		} else {
			t.number(p, &ev)
		}
		return ev
	}

	if p.Direction == FromClient {
		t.fromClient(p, &ev)
	} else {
		t.fromServer(p, &ev)
	}
	return ev
}

// number checks the id of p against the one that is due and counts on from it.
func (t *Tracker) number(p Packet, ev *Event) {
	if p.Seq != t.next && !t.lenient && ev.Violation == None {
		ev.Violation = SequenceMismatch
		if ev.Kind == KindERR {
			ev.Violation = MisnumberedError
		}
	}
	t.next = p.Seq + 1
}

func (t *Tracker) ready() { t.phase, t.next = PhaseReady, 0 }

// answered ends the answer to the command on the wire. If another one was sent
// meanwhile, its answer is due now.
func (t *Tracker) answered(ev *Event) {
	ev.Done = true
	if t.queued == 0 {
		t.ready()
		return
	}
	q := t.queue[0]
	copy(t.queue[:], t.queue[1:t.queued])
	t.queued--
	t.begin(q.cmd, q.next)
}

// begin makes cmd the command whose answer is due.
func (t *Tracker) begin(cmd Command, next uint8) {
	t.cmd, t.next = cmd, next
	t.started, t.failed, t.draining, t.infile = false, false, false, 0
	switch cmd.grammar() {
	case answerNone:
		t.ready()
	case answerAuth:
		t.phase = PhaseAuth
	case answerQuit:
		t.phase = PhaseQuit
	case answerUnknown:
		t.untrack()
	default:
		t.phase = PhaseCommand
	}
}

// EndOfStream tells the tracker that the peer's bytes are over. inside is
// whether they ended within a packet. It returns Truncated if something was
// due.
func (t *Tracker) EndOfStream(inside bool) Violation {
	p := t.phase
	t.phase = PhaseClosed
	switch {
	case p == PhaseClosed || p == PhaseQuit || p == PhaseOpaque:
		return None
	case inside || p.Connecting() || p.Answering():
		return Truncated
	}
	return None
}
