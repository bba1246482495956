package cause

import "fmt"

// unowed: a client that waits for what nobody will send. It would wait until
// the server hangs up, which may be hours.
var unowedRules = []rule{
	{
		slug:     "read_nothing_due",
		severity: Error,
		title:    "The client reads although the answer is complete",
		signs:    when(fact{is: "a read was under way to which nothing was owed", holds: func(e *Evidence) bool { return e.NothingDue > 0 }}),
		explain: func(e *Evidence) string {
			s := "nothing was outstanding"
			if e.Commands > 0 {
				s = fmt.Sprintf("the answer to %s had been complete for %s", e.Command, dur(e.AnswerAge))
			}
			s += fmt.Sprintf(", and for %s the client had been reading all the same: the server owes it nothing, so it would wait until one of the two hangs up.", dur(e.NothingDue))
			if e.Stream != StreamOpen {
				s += fmt.Sprintf(" Then the connection was %s.", e.Stream)
			}
			return s
		},
		advise: func(e *Evidence) string {
			s := "The client library understands the answer differently from the server, or a proxy has left a part of it out. Update the library; connect past the proxy and compare."
			if e.MariaDB {
				s += " go-sql-driver follows MariaDB's mark of cached metadata only in the first result of a prepared statement."
			}
			return s + " The connection must not be used again."
		},
		executed: func(e *Evidence) Executed {
			switch {
			case e.Commands == 0:
				return ExecutedNo
			case e.AnswerFailed:
				return ExecutedUnknown // what it says is in the ERR
			}
			return ExecutedYes
		},
	},
}
