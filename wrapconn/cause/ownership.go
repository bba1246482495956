package cause

import (
	"fmt"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// crossed: a command left while the answer to an earlier one was not complete,
// and nobody who knows the operations says how that came.
var crossed = fact{is: "a command was written while an answer was outstanding", holds: func(e *Evidence) bool {
	return e.Violation == session.CommandDuringAnswer && e.Ownership == OwnershipNone && !e.Watched
}}

func ownership(is string, o ...Ownership) fact {
	return fact{is: is, holds: func(e *Evidence) bool {
		for _, x := range o {
			if e.Ownership == x {
				return true
			}
		}
		return false
	}}
}

// ownershipRules are about who used the connection. A connection serves one
// command at a time: the server reads the next one only when it has answered,
// and an answer does not say which command it belongs to. What goes wrong later (ERR 1156,
// a busy buffer, commands out of sync, rows of somebody else) is a consequence, so these
// rows come first.
var ownershipRules = []rule{
	{
		slug:     "used_after_fork",
		severity: Misuse,
		title:    "The connection was used by a process that did not make it",
		signs:    when(fact{is: "the process is not the one that made the connection", holds: func(e *Evidence) bool { return e.Forked }}),
		explain: func(e *Evidence) string {
			return "This process inherited the connection from the one that made it. Both read the same stream, so each can get the other's answers."
		},
		advise: func(*Evidence) string {
			return "Open the pool after the fork, in the process that uses it, and close what was inherited without a word to the server. Do not pass a MySQL socket on to another process."
		},
		executed: ifSent,
	},
	{
		slug:     "concurrent_use",
		severity: Misuse,
		title:    "Two operations used the connection at the same time",
		signs: []sign{
			{ownership("another operation was inside, or none that is known", OwnershipOverlap, OwnershipOutside)},
			// A result that has not begun cannot be somebody's open rows.
			{crossed, fact{is: "nothing of the earlier answer had come", holds: func(e *Evidence) bool { return e.Phase == session.PhaseCommand && !begun(e) }}},
		},
		explain: func(e *Evidence) string {
			if e.Ownership == OwnershipOutside {
				return fmt.Sprintf("The connection was read or written while no operation of its user was under way.%s", refused(e))
			}
			if e.Ownership == OwnershipNone {
				by := ""
				if !e.ours() {
					by = " by " + e.who()
				}
				return "A second command was written" + by + " before anything of the answer to the first had come. A connection serves one command at a time; an answer does not say which command it belongs to, so each may be read as the other's." + refused(e) + offBy(e)
			}
			return fmt.Sprintf("%s began while %s had not ended. A connection serves one command at a time; an answer does not say which command it belongs to, so each could have read the other's.%s",
				e.Intruder.sentence("An operation"), e.Owner.clause("another one"), refused(e)+elsewhere(e))
		},
		advise:   func(e *Evidence) string { return e.library().share },
		executed: ifSent,
		others: func(e *Evidence) []Slug {
			if e.Ownership == OwnershipNone {
				return []Slug{"result_still_open"} // or a client that pipelines on purpose
			}
			return nil
		},
	},
	{
		slug:     "more_results_unread",
		severity: Misuse,
		title:    "A further result was not read",
		signs: []sign{
			{ownership("an earlier result was not finished", OwnershipInterleaving), fact{is: "the server had announced a further result", holds: func(e *Evidence) bool { return e.MoreResults }}},
			{crossed, phase(session.PhaseMoreResults)},
		},
		explain: func(e *Evidence) string {
			return fmt.Sprintf("%s began while %s still had a result to come: the server had announced it (SERVER_MORE_RESULTS_EXISTS) and nobody read it.%s",
				e.Intruder.sentence("An operation"), e.Owner.clause("an earlier one"), refused(e)+elsewhere(e))
		},
		advise:   func(e *Evidence) string { return e.library().more },
		executed: ifSent,
	},
	{
		slug:     "result_still_open",
		severity: Misuse,
		title:    "The rows of an earlier query were still open",
		signs: []sign{
			{ownership("an earlier result was not finished", OwnershipInterleaving)},
			{crossed},
		},
		explain: func(e *Evidence) string {
			return fmt.Sprintf("%s began while the rows of %s were still open. They come over the same connection and must be read or closed first.%s",
				e.Intruder.sentence("An operation"), e.Owner.clause("an earlier one"), refused(e)+elsewhere(e))
		},
		advise:   func(e *Evidence) string { return e.library().rows },
		executed: ifSent,
		others: func(e *Evidence) []Slug {
			if e.Ownership == OwnershipNone {
				return []Slug{"concurrent_use"}
			}
			return nil
		},
	},
}

// sentence names p at the beginning of a sentence.
func (p Party) sentence(unknown string) string {
	if p.Operation == "" {
		return unknown
	}
	return "Operation " + p.name()
}

// clause names p within a sentence.
func (p Party) clause(unknown string) string {
	if p.Operation == "" {
		return unknown
	}
	return p.name()
}

func (p Party) name() string {
	s := p.Operation
	if p.Site != "" {
		s += " at " + p.Site
	}
	if p.Age > 0 {
		s += " (begun " + dur(p.Age) + " ago)"
	}
	return s
}

// offBy says what an early command that was sent does to all that follows.
func offBy(e *Evidence) string {
	if e.NothingWritten || e.EarlyCommands == 0 {
		return ""
	}
	return fmt.Sprintf(" What this client reads from now on may be the answer to a question it asked up to %s earlier.", count(e.EarlyCommands, "command", "commands"))
}

// elsewhere says who uses the connection, if it is another goroutine.
func elsewhere(e *Evidence) string {
	if e.Goroutines != OtherGoroutine {
		return ""
	}
	return " The two ran on different goroutines, which share this connection."
}

// refused says that no harm was done, if so.
func refused(e *Evidence) string {
	if !e.NothingWritten || e.Stream != StreamOpen {
		return ""
	}
	if e.Ownership == OwnershipNone {
		return " It was refused before a byte was written."
	}
	return " It was refused before a byte was written; the earlier operation is not affected."
}
