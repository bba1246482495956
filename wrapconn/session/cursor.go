package session

// cursorOpened ends an answer behind its columns: the rows stay with the server
// until COM_STMT_FETCH. The flag is no proof: a server that could not open the
// cursor sends the rows at once, so rows that are numbered on remain lawful until
// the next command.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
func (t *Tracker) cursorOpened(ev *Event) {
	next := t.next
	t.answered(ev)
	if t.phase == PhaseReady {
		t.resume = next
	}
}

// resumes reports whether p is a row, or what ends them, that a server sends
// although it has announced a cursor, and goes back to reading rows then.
func (t *Tracker) resumes(p *Packet) bool {
	if t.resume == 0 || p.Seq != t.resume && !t.lenient || len(p.Prefix) == 0 {
		return false
	}
	t.phase, t.next, t.resume, t.started = PhaseRows, p.Seq, 0, true
	return true
}
