package session

// Packet is one packet, as the tracker needs it.
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
	// What packets of results and commands need lies together in front: with many
	// connections, each first touch of a cache line is a wait.

	phase Phase
	next  uint8 // the id due next, from whichever side speaks
	// continued: the last packet of that direction was of maximal length
	continued [2]bool
	last      Direction // who spoke last
	cmd       Command   // of the answer on the wire, or the last one
	started   bool      // a packet of that answer has come
	failed    bool      // it ended with ERR
	cursor    bool      // the COM_STMT_EXECUTE asked for a cursor
	binary    bool      // the rows are of the binary protocol
	outs      bool      // they are OUT parameters, and more follows: see outParameters
	uploaded  bool      // a file was sent in the present exchange: OK or ERR is due
	asked     bool      // the last result of it was a LOCAL INFILE request
	behind    bool      // more results were announced behind such a file: see BehindFile
	unsure    bool      // the login was not seen: see learn
	foreign   bool      // a dialect that is not followed
	lenient   bool      // inner ids of a compressed conversation: informative only
	draining  bool      // the server answered before the client had sent everything
	drainFile bool      // of a LOCAL INFILE, that is, not of a long command; stays until the next command
	resume    uint8     // id of rows that may follow although a cursor was opened; 0: none may
	ahead     bool      // the client's last packet was a command sent while an answer was outstanding
	waits     bool      // which has an answer, so it is the last one in queue
	pipelines bool      // the client may send such commands
	lastSent  Command   // the last command that has an answer
	acked     bool      // the replica has acknowledged an event
	cloned    bool      // the last command of CLONE's own protocol was sent
	params    bool      // the block is of COM_STMT_PREPARE's parameters
	status    uint16    // server status flags of the last OK or EOF
	lastERR   uint16
	caps      capabilities // negotiated: both sides have it
	ext       extended
	left      uint32    // definitions to come in this block
	columns   uint32    // column definitions to come after the parameters
	rows      uint64    // rows that have come in the present answer
	infile    int64     // bytes of a file sent in the present exchange
	queue     []pending // commands that were sent ahead, in order; allocated by the first of them
	served    int       // of queue: the ones before it have been answered
	sent      uint64
	lost      uint64 // times that the conversation became untracked

	early   uint64 // commands that were sent ahead and must not have been
	drained uint8  // id that the client's next packet has then

	tls        bool // SSLRequest was seen
	classic    bool // an EOF came where both sides had agreed on OK, ever
	clientGone bool // the client has ended its half of the stream
	quit       bool // the client has said good-bye in the middle of its login
	spoke      bool // the client's login came before the greeting; caps and ext are what it asks for
	verdict    bool // the server has said all but OK or ERR
	turn       bool // in PhaseAuth: the client has the word
	fullLogin  bool // caching_sha2_password: it is to send its password, or to ask for a key
	keyAsked   bool // it has asked for the server's public key

	// authSwitch is the plugin of the server's last AuthSwitchRequest
	authSwitch string
	proposed   string // the client's plugin in its login, if that was read
	greeting   Greeting
}

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
	n := t.queued()
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

// FileAsked reports whether the last result of the answer on the wire, or of the last one, was a LOCAL INFILE request.
func (t *Tracker) FileAsked() bool { return t.asked }

// Crossed reports whether the server refused a file of LOAD DATA LOCAL, or a command of several packets, before all of it
// had been sent, and whether the client has still to send what is left.
func (t *Tracker) Crossed() (file, unsent bool) {
	return t.phase == PhaseReady && t.drainFile, t.phase == PhaseReady && t.draining
}

// BehindFile reports whether the server has announced further results behind the last
// LOCAL INFILE of the present answer, or of the last one.
func (t *Tracker) BehindFile() bool { return t.behind }

// AuthSwitch returns the plugin that the server's last AuthSwitchRequest named,
// "" if there was none.
func (t *Tracker) AuthSwitch() string { return t.authSwitch }

// AuthDue reports whether the authentication waits for the client: the server has
// said what it wants, and the client has not answered. password is whether
// caching_sha2_password wants the password itself.
func (t *Tracker) AuthDue() (due, password bool) {
	due = t.phase == PhaseAuth && t.turn
	return due, due && t.fullLogin
}

// Quit reports whether the client has said good-bye (COM_QUIT) in the middle of its
// login.
func (t *Tracker) Quit() bool { return t.quit }

// KeyRefused reports whether the login ended with an ERR in place of the public key
// that the client had asked for (caching_sha2_password).
func (t *Tracker) KeyRefused() bool {
	return t.phase == PhaseClosed && t.keyAsked && t.sent == 0 && t.lastERR != 0
}

// Overrun reports whether the client has sent a command while an answer was
// outstanding, and is not one that may. Since then its answers may belong to
// other questions.
func (t *Tracker) Overrun() bool { return t.early > 0 }

// Early returns how many such commands the client sent. What it reads as the
// answer to a question may be the answer to one asked up to so many commands
// earlier.
func (t *Tracker) Early() uint64 { return t.early }

// ClassicEOF reports whether the server ever ended rows with an EOF packet
// although OK had been agreed on (CLIENT_DEPRECATE_EOF). If it also sends one
// behind the columns, that one looks like the end of an empty result, and the
// rows behind it like packets that nobody asked for.
func (t *Tracker) ClassicEOF() bool { return t.classic }

// RowCount returns how many rows have come in the last answer, in all its
// results.
func (t *Tracker) RowCount() uint64 { return t.rows }

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
	if t.queued() > 0 || t.pipelines {
		// Which of the coming packets answers which command cannot be known again.
		t.foreign = true
	}
	t.phase, t.queue, t.served = PhaseUntracked, nil, 0
}

// Binary reports whether rows are of the binary protocol, in which each begins
// with 0x00: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
func (t *Tracker) Binary() bool { return t.binary }

// Rows is Packet for n rows in a row whose ids are known to be contiguous and
// due: the short way for the bulk of a result.
func (t *Tracker) Rows(n int, last uint8) {
	t.next = last + 1
	t.last = FromServer
	t.rows += uint64(n)
}

// Packet takes the next packet.
func (t *Tracker) Packet(p Packet) (ev Event) {
	ev.Expected = t.next
	t.take(&p, &ev)
	return ev
}

func (t *Tracker) take(p *Packet, ev *Event) {
	continuation := t.continued[p.Direction]
	t.continued[p.Direction] = p.Length == maxPayload
	previous := t.last
	t.last = p.Direction

	switch {
	case t.phase < PhaseClosed && !continuation: // the usual case
	case t.phase == PhaseOpaque || t.phase == PhaseClosed:
		return
	case t.phase == PhaseUntracked:
		// A client packet that could begin a command, after the server had the
		// word: the exchange that was not understood is over. Where answers to
		// other commands are due, nothing tells that.
		if t.foreign || p.Direction == FromServer || continuation || p.Seq != 0 || len(p.Prefix) == 0 || previous != FromServer {
			return
		}
		t.ready()
	case continuation:
		ev.Kind = KindContinuation
		if t.phase == PhaseLocalInfile && p.Direction == FromClient {
			t.infile += int64(p.Length)
		}
		switch {
		case p.Direction == FromServer:
			t.number(p, ev)
		case t.ahead:
			t.continueAhead(p)
		case t.draining:
			t.drained++
		default:
			t.number(p, ev)
		}
		return
	}

	if p.Direction == FromClient {
		t.ahead = false
		t.fromClient(p, ev)
	} else {
		t.fromServer(p, ev)
	}
}

// number checks the id of p against the one that is due and counts on from it. A
// wrong id comes before a wrong content, as in go-sql-driver (packets.go,
// readPacket): a packet of another answer makes no sense in this one. The content of
// an ERR is looked at whatever its id.
func (t *Tracker) number(p *Packet, ev *Event) {
	wrong := p.Seq != t.next && !t.lenient
	switch {
	case wrong && ev.Violation == None && ev.Kind == KindERR:
		ev.Violation = MisnumberedError
	case wrong && (ev.Violation == None || ev.Violation == Malformed && ev.Kind != KindERR):
		ev.Violation = SequenceMismatch
	}
	t.next = p.Seq + 1
}

func (t *Tracker) ready() { t.phase, t.next = PhaseReady, 0 }

// answered ends the answer to the command on the wire. If another one was sent
// meanwhile, its answer is due now.
func (t *Tracker) answered(ev *Event) {
	ev.Done = true
	if t.queued() == 0 {
		t.ready()
		return
	}
	t.begin(t.dequeue())
}

// begin makes p the command whose answer is due.
func (t *Tracker) begin(p pending) {
	t.cmd, t.next = p.cmd, p.next
	t.started, t.failed, t.draining, t.drainFile, t.uploaded, t.infile, t.resume = false, false, false, false, false, 0, 0
	g := p.cmd.grammar()
	if g == answerNone {
		t.ready()
		return // the rows of a cursor stay as they are
	}
	t.rows = 0
	t.cloned, t.acked = false, false
	t.outs, t.asked, t.behind = false, false, false
	t.cursor, t.binary = p.cursor, p.cmd == ComStmtExecute || p.cmd == ComStmtFetch || p.cmd == ComStmtBulkExecute
	switch g {
	case answerAuth:
		t.phase, t.authSwitch, t.verdict, t.turn, t.keyAsked = PhaseAuth, "", false, false, false
	case answerQuit:
		t.phase = PhaseQuit
	case answerUnknown:
		t.untrack()
	default:
		t.phase = PhaseCommand
	}
}

// EndOfClient tells the tracker that no more bytes of the client will come: it
// closed the connection, or its half of it. What the server sends after that is no
// violation, and neither is its end.
func (t *Tracker) EndOfClient() { t.clientGone = true }

// EndOfStream tells the tracker that the peer's bytes are over. inside is
// whether they ended within a packet. It returns Truncated if something was
// due.
func (t *Tracker) EndOfStream(inside bool) Violation {
	p := t.phase
	t.phase = PhaseClosed
	switch {
	case p == PhaseClosed || p == PhaseQuit || p == PhaseOpaque || t.clientGone:
		return None
	case inside || p.Connecting() || p.Answering():
		return Truncated
	}
	return None
}
