package session

// fromClient takes a packet of the client that is not a continuation.
func (t *Tracker) fromClient(p Packet, ev *Event) {
	switch t.phase {
	case PhaseGreeting:
		// A client that speaks before the greeting, as health checks do. The
		// manual has no such packet; the server's word decides what follows.
	case PhaseLogin, PhaseTLS: // after SSLRequest only what is inside TLS comes here
		t.login(p, ev)
	case PhaseAuth:
		ev.Kind = KindAuthResponse
		t.number(p, ev)
	case PhaseLocalInfile:
		ev.Kind = KindInfileData
		t.infile += int64(p.Length)
		if p.Length == 0 {
			ev.Kind = KindInfileEnd
			t.phase = PhaseCommand
		}
		t.number(p, ev)
	case PhaseQuit:
		t.untrack()
	case PhaseReady:
		if t.draining && t.drainFile && (p.Seq == t.drained || p.Seq != 0) {
			// The server's ERR crossed what was left of the file. The client
			// sends it to its end; its ids may pass 0.
			ev.Kind = KindInfileData
			ev.Expected = t.drained
			t.drained = p.Seq + 1
			if p.Length == 0 {
				ev.Kind = KindInfileEnd
				t.draining = false
			}
			return
		}
		t.command(p, ev)
	default: // an answer is outstanding
		if t.unsure && t.phase == PhasePrepare && t.left == 0 && t.columns == 0 {
			// No EOF packet came behind the last definition: none was due.
			t.unsure, t.caps = false, t.caps|clientDeprecateEOF
			t.ready()
			t.command(p, ev)
			return
		}
		t.early(p, ev)
	}
}

// login takes the client's first packet, or the second one after SSLRequest.
func (t *Tracker) login(p Packet, ev *Event) {
	caps, ext, ok := parseLogin(p.Prefix)
	if !ok {
		// Protocol 3.20, or something that only its server understands: what
		// follows is not in this grammar either.
		t.number(p, ev)
		t.foreign = true
		t.untrack()
		return
	}
	ev.Kind = KindLogin
	if p.Length == 32 && caps&clientSSL != 0 && !t.tls {
		// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html
		ev.Kind = KindSSLRequest
		t.tls = true
		t.phase = PhaseTLS
		t.number(p, ev)
		return
	}
	t.caps = caps & t.greeting.capabilities
	t.ext = ext & t.greeting.extended
	t.phase = PhaseAuth
	t.number(p, ev)
	if t.caps&clientOptionalMetadata != 0 {
		// Definitions may then be left out of any result. No client that this
		// was tried with asks for it, so it is not followed.
		t.foreign = true
		t.untrack()
	}
}

// command takes the first packet of an exchange.
func (t *Tracker) command(p Packet, ev *Event) {
	ev.Kind = KindCommand
	ev.Expected = 0
	t.next = 0
	if len(p.Prefix) > 0 {
		ev.Command = Command(p.Prefix[0])
	}
	t.number(p, ev)
	if len(p.Prefix) == 0 {
		ev.Violation = Malformed
		t.untrack()
		return
	}
	t.sent++
	t.begin(ev.Command, t.next)
	if t.phase == PhaseReady {
		t.next = p.Seq + 1 // no answer, but the packet may be continued
	}
}

// early takes a packet that the client sent while an answer is outstanding.
func (t *Tracker) early(p Packet, ev *Event) {
	ev.Violation = CommandDuringAnswer
	ev.Expected = 0
	if !t.overrun {
		t.overrun = len(p.Prefix) == 0 || Command(p.Prefix[0]) != ComQuit
	}
	if p.Seq != 0 || len(p.Prefix) == 0 {
		return
	}
	ev.Kind, ev.Command = KindCommand, Command(p.Prefix[0])
	g := ev.Command.grammar()
	switch g {
	case answerNone:
		t.sent++
		return
	case answerQuit:
		// Hanging up is lawful at any time.
		ev.Violation = None
		t.sent++
		t.phase = PhaseQuit
		return
	}
	if t.queued == maxPending || g == answerUnknown {
		t.untrack()
		return
	}
	t.sent++
	t.queue[t.queued] = pending{cmd: ev.Command, next: 1}
	t.queued++
}
