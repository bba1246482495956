package session

// fromClient takes a packet of the client that is not a continuation.
func (t *Tracker) fromClient(p *Packet, ev *Event) {
	if p.Seq == 0 && p.Length == 1 && t.phase.Connecting() && !t.changingUser() && (t.next != 0 || t.spoke) {
		// COM_QUIT behind a login, or in place of one: it is the only packet of one
		// byte that a client numbers 0, and hanging up is lawful at any time. HAProxy's
		// mysql-check sends it in one write with its login, and reads what the server
		// says to that (src/tcpcheck.c, proxy_parse_mysql_check_opt).
		ev.Kind, ev.Command, ev.Expected = KindCommand, ComQuit, 0
		t.quit, t.clientGone = true, true
		return
	}
	switch t.phase {
	case PhaseGreeting:
		// A client that speaks before the greeting, as health checks do. The
		// manual has no such packet; the server's word decides what follows. HAProxy
		// sends its login like this.
		if caps, ext, ok := parseLogin(p.Prefix); ok && p.Seq == 1 && p.Length > 32 {
			t.spoke, t.caps, t.ext = true, caps, ext
		}
	case PhaseLogin, PhaseTLS: // after SSLRequest only what is inside TLS comes here
		t.loginPacket(p, ev)
	case PhaseAuth:
		ev.Kind = KindAuthResponse
		t.turn, t.keyAsked = false, t.fullLogin && p.Length == 1
		t.number(p, ev)
	case PhaseLocalInfile:
		if p.Seq == 0 && t.next != 0 && p.Length == 1 && len(p.Prefix) == 1 && Command(p.Prefix[0]) == ComQuit {
			// Its reader has panicked, and its user closes the connection. Hanging
			// up is lawful at any time.
			ev.Kind, ev.Command, ev.Expected = KindCommand, ComQuit, 0
			t.sent++
			t.phase = PhaseQuit
			return
		}
		ev.Kind = KindInfileData
		t.infile += int64(p.Length)
		if p.Length == 0 {
			ev.Kind = KindInfileEnd
			t.phase, t.uploaded = PhaseCommand, true
		}
		t.number(p, ev)
	case PhaseEvents, PhaseClone:
		t.inStream(p, ev)
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
		t.sendAhead(p, ev)
	}
}

// loginPacket takes the client's first packet, or the second one after SSLRequest.
func (t *Tracker) loginPacket(p *Packet, ev *Event) {
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
func (t *Tracker) command(p *Packet, ev *Event) {
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
	t.count(ev.Command)
	resume := t.resume
	t.begin(pendingOf(p.Prefix, t.next))
	if t.phase == PhaseReady {
		t.resume = resume
		t.next = p.Seq + 1 // no answer, but the packet may be continued
	}
}
