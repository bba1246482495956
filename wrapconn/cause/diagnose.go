package cause

import "github.com/seqguard/mysql-seqguard/wrapconn/session"

// Diagnose names the cause that the evidence shows.
func Diagnose(e *Evidence) Diagnosis {
	for i := range rules {
		if r := &rules[i]; r.fits(e) {
			return r.diagnosis(e)
		}
	}
	d := unknown.diagnosis(e)
	d.Explanation += nearest(e)
	return d
}

func (r *rule) diagnosis(e *Evidence) Diagnosis {
	d := Diagnosis{
		Slug:        r.slug,
		Severity:    r.severity,
		Title:       r.title,
		Explanation: capital(r.explain(e)),
		Advice:      r.advise(e),
		Executed:    r.executed(e),
	}
	if r.titled != nil {
		if t := r.titled(e); t != "" {
			d.Title = t
		}
	}
	if say := do[r.slug]; say != nil {
		d.Do = say(e)
	}
	if r.others != nil {
		d.Alternatives = r.others(e)
	}
	e.prove(&d)
	// An operation that was refused at the door leaves the connection, and a
	// transaction on it, as they were. One that nobody knew until it wrote has
	// broken it.
	alive := r.severity == Misuse && e.NothingWritten && e.Stream == StreamOpen && e.Ownership != OwnershipNone ||
		e.InfileFailed && !e.MoreResults && e.Stream == StreamOpen // its user can still roll back, as the advice says
	lost := e.lostTransaction() && !alive && !e.standing()
	if d.Severity == Notice && e.Abandoned == NotAbandoned && !e.standing() && (lost || e.Pinned || e.Pending > 0 || e.Phase.Answering() || e.Phase.Connecting()) {
		// The farewell met somebody who was not idle, or whom the pool does not
		// give another connection.
		d.Severity = Error
		if e.Pinned && !lost {
			d.Explanation += " The application holds this connection itself, so it got the error: database/sql tries another one only for what it takes from the pool."
		}
	}
	if lost {
		// The server rolls back what was open, so the statement alone, sent
		// again on another connection, would run outside its transaction.
		d.Explanation += " The transaction that was open on this connection is lost."
		d.Advice += " Run the transaction again from its beginning, on another connection."
	}
	d.Lost, d.Standing = lost, e.standing()
	d.RetrySafe = d.Executed == ExecutedNo && !lost
	e.examine(&d)
	return d
}

func capital(s string) string {
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}

// Executed, for rows where nothing was or could have been run.
func never(*Evidence) Executed { return ExecutedNo }

func maybe(*Evidence) Executed { return ExecutedUnknown }

func ran(*Evidence) Executed { return ExecutedYes }

// ifSent is what can be said of a command whose answer is missing: it was not
// run if it did not leave whole, or if it is none that runs a statement.
func ifSent(e *Evidence) Executed {
	// While the phase is ready, a command that breaks the numbering is out all
	// the same, and one behind whose answer another packet came was out: either
	// may be its answer.
	notOut := e.Phase == session.PhaseReady && !(e.Direction == session.FromClient && e.Violation != session.None) && !behindAnswer(e)
	if e.BeforeCommand || e.NothingWritten || e.Unsent > 0 && !partRan(e) || notOut || connecting.holds(e) {
		return ExecutedNo
	}
	if runsNothing(e.Command) {
		return ExecutedNo
	}
	return ExecutedUnknown
}

// runsNothing reports whether a command is none that runs a statement.
func runsNothing(c session.Command) bool {
	switch c {
	case session.ComPing, session.ComStmtPrepare, session.ComStmtReset, session.ComStmtClose, session.ComResetConnection,
		session.ComChangeUser, session.ComInitDB, session.ComSetOption, session.ComStatistics, session.ComFieldList:
		return true
	}
	return false
}

// neverBegun is never for what may be met, against all that servers do, behind the beginning of an answer.
func neverBegun(e *Evidence) Executed {
	if partRan(e) {
		return ExecutedUnknown
	}
	return ExecutedNo
}

// partRan reports whether the answer to the command that is out has begun, or a file was
// asked for: of several statements the first may have been run, and of a file the first rows
// may be loaded. What the server did not take is then the file.
func partRan(e *Evidence) bool {
	if e.BeforeCommand || e.NothingWritten || runsNothing(e.Command) {
		return false
	}
	switch e.Phase {
	case session.PhaseLocalInfile, session.PhaseColumns, session.PhaseRows, session.PhaseMoreResults:
		return true
	case session.PhaseCommand:
		return e.FileSent > 0
	case session.PhaseOpaque:
		return e.AnswerStarted
	}
	return false
}

// unseenRest reports whether what the socket did not take came behind an answer, of
// an operation whose packets cannot be seen. It may be the file that the second of several
// statements asked for.
func unseenRest(e *Evidence) bool {
	return e.Unsent > 0 && e.Phase == session.PhaseOpaque && e.AnswerStarted
}

// behindAnswer reports whether a packet that nobody asked for came while the
// answer to the last command was being read, and not only in front of the next.
func behindAnswer(e *Evidence) bool {
	return e.Phase == session.PhaseReady && !e.BeforeCommand && e.Direction == session.FromServer && e.Violation == session.Unsolicited && e.Commands > 0
}

// unlessFarewell is ifSent for an ERR that may have been said before the
// command was read: its number is 0 only as long as the server waits for a
// command (sql-common/net_serv.cc counts from 0 for each), and a server that
// has said goodbye reads no more. Compression hides that number.
func unlessFarewell(e *Evidence) Executed {
	// MaxScale says 1927 with number 0 while a statement runs on the server behind it
	// (server/modules/protocol/MariaDB/mariadb_client.cc, kill).
	if e.Actual == 0 && !begun(e) && !partRan(e) && !e.Compressed && e.Kind == session.KindERR && e.code() != erConnectionKilled {
		return ExecutedNo
	}
	return ifSent(e)
}
