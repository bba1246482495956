package session

// Join says that what came before is not known, or that a part of it is lost:
// the tracker waits for the next command. What the login agreed on stays; if it
// was lost, it is learned from what comes.
func (t *Tracker) Join() {
	if t.phase == PhaseOpaque {
		return
	}
	if t.phase.Connecting() && !t.changingUser() {
		t.unsure = true
	}
	// Which answers are due is not known of a client that pipelines, and what
	// passes in a clone looks like commands.
	t.foreign = t.foreign || t.pipelines || t.phase == PhaseClone
	t.phase = PhaseUntracked
	t.queue, t.served, t.ahead, t.resume = nil, 0, false, 0
	t.last = FromServer // so that the next packet may be a command
	t.continued = [2]bool{}
	t.draining = false
}

// Rejoins reports whether a conversation that is not followed will be followed
// again from its next command. It is not if answers to earlier commands may be
// due, because the client sends commands ahead.
func (t *Tracker) Rejoins() bool { return !t.foreign }

// Unsure reports whether the login was not seen, and nothing since has shown
// what it agreed on.
func (t *Tracker) Unsure() bool { return t.unsure }

// learn takes the packet behind a block of definitions of a conversation whose
// login was not seen. It is an EOF packet, or there are none at all
// (DEPRECATE_EOF), and p belongs to what follows.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html
func (t *Tracker) learn(p *Packet) (deprecated bool) {
	t.unsure = false
	if len(p.Prefix) > 0 && p.Prefix[0] == headEOF && p.Length == 5 {
		return false
	}
	t.caps |= clientDeprecateEOF
	return true
}

// Known reports whether c is a command of the manual, or of MariaDB's.
func (c Command) Known() bool {
	_, ok := commandNames[c]
	return ok
}
