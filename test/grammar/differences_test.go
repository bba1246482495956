package grammar_test

import (
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// difference is a case in which the driver and the guard may disagree.
type difference struct {
	name  string
	why   string
	holds func(c *comparison) bool
}

// at reports whether the guard's report is this one.
func (c *comparison) at(v session.Violation, phases ...session.Phase) bool {
	if c.report == nil || c.report.Evidence.Violation != v {
		return false
	}
	for _, p := range phases {
		if c.report.Evidence.Phase == p {
			return true
		}
	}
	return len(phases) == 0
}

func (c *comparison) kind(kinds ...session.Kind) bool {
	for _, k := range kinds {
		if c.report != nil && c.report.Evidence.Kind == k {
			return true
		}
	}
	return false
}

// text reports whether the driver ignores that definitions are left out: it
// heeds the mark in the first result of a statement's query only.
func (c *comparison) skipsDefinitions() bool {
	return c.op == opExec || c.op == opStmtExec || c.op == opPrepare
}

var differences = []difference{
	// The guard complains and the driver does not.
	{
		"leftover in a compressed frame",
		"the driver throws away what its inflater still holds when it sends the next packet; one that nobody asked for is worth a report",
		func(c *comparison) bool {
			return c.compressed && c.alone.class <= badValue && c.alone.valid &&
				(c.at(session.Unsolicited, session.PhaseReady) || c.at(session.Malformed, session.PhaseReady) || c.at(session.UnexpectedKind, session.PhaseLocalInfile) || c.report == nil && !c.idle && !c.starved)
		},
	},
	{
		"definitions that the driver skips",
		"exec and prepare count definitions without a look into them",
		func(c *comparison) bool {
			return c.at(session.Malformed, session.PhaseColumns, session.PhasePrepare) && c.kind(session.KindColumn, session.KindParameter) && c.skipsDefinitions()
		},
	},
	{
		"a broken definition in a further result",
		"the driver's own io.EOF for it is taken for the end of the results",
		func(c *comparison) bool {
			return c.at(session.Malformed, session.PhaseColumns) && c.kind(session.KindColumn) && c.alone.class <= sqlError && !c.skipsDefinitions() &&
				c.any(func(s sighting) bool { return s.phase == session.PhaseMoreResults })
		},
	},
	{
		"the packet behind the definitions",
		"where an EOF is due behind definitions, the driver takes any packet for it",
		func(c *comparison) bool {
			return c.eof() && c.alone.class <= badValue && !c.kind(session.KindColumn, session.KindParameter) &&
				(c.at(session.UnexpectedKind, session.PhaseColumns, session.PhasePrepare) || c.at(session.Malformed, session.PhaseColumns, session.PhasePrepare))
		},
	},
	{
		"a column count of 0",
		"zero in three bytes: the driver takes it for an OK without flags",
		func(c *comparison) bool { return c.at(session.Malformed) && c.kind(session.KindColumnCount) },
	},
	{
		"a farewell that is numbered as an answer",
		"ERR 4031 is what MySQL says to a connection that it closes for its idleness: the driver believes it to be an answer, and that the connection goes on",
		func(c *comparison) bool {
			return c.at(session.Unsolicited, session.PhaseCommand) && c.kind(session.KindERR) && c.alone.class == sqlError
		},
	},
	{
		"rows that the driver skips",
		"exec, and the close of unread rows, read rows of a statement to their end without a look at their first byte",
		func(c *comparison) bool {
			return c.at(session.UnexpectedKind, session.PhaseRows) && c.kind(session.KindRow) && c.op == opStmtExec
		},
	},
	{
		"an OK that is longer than a COM_STMT_PREPARE_OK",
		"the driver reads the id of a statement and two counts out of any OK; the text behind an ordinary one makes nonsense of them",
		func(c *comparison) bool {
			return c.op == opPrepare && c.at(session.UnexpectedKind, session.PhaseCommand) && c.kind(session.KindOK)
		},
	},

	// The driver complains and the guard does not.
	{
		"values in a row",
		"the guard does not look at rows: a value that does not fit its column, or is longer than its row, is the driver's to find",
		func(c *comparison) bool {
			return c.report == nil && c.idle && c.has(session.KindRow) && (c.alone.class == badValue || c.alone.where == "readRow")
		},
	},
	{
		"the rest of a definition",
		"of a packet the guard looks at the first 32 bytes",
		func(c *comparison) bool {
			return c.report == nil && (c.alone.class == badColumn || c.alone.where == "readColumns") &&
				c.any(func(s sighting) bool {
					return s.length > 32 && (s.event.Kind == session.KindColumn || s.event.Kind == session.KindParameter)
				})
		},
	},
	{
		"a statement's second result",
		"behind a first result without columns, the driver's query of a statement reads no further, whatever the flags say of more results",
		func(c *comparison) bool {
			return c.op == opStmtQuery && c.alone.class == content && c.report == nil && len(c.seen) > 0 && (c.seen[0].event.Kind == session.KindOK || c.seen[0].event.Kind == session.KindLocalInfile)
		},
	},
	{
		"an ERR that crosses a file",
		"sent by the server before the file had come, it has the number that was due then; the driver reads it when it has sent the file, and has counted on",
		func(c *comparison) bool {
			return c.report == nil && c.any(func(s sighting) bool { return s.phase == session.PhaseLocalInfile && s.event.Kind == session.KindERR })
		},
	},

	// Either may.
	{
		"ERR among definitions",
		"the driver counts it as a definition, or fails to read it as one; no server was seen to send it there",
		func(c *comparison) bool {
			return c.any(func(s sighting) bool {
				return (s.phase == session.PhaseColumns || s.phase == session.PhasePrepare) && len(s.head) > 0 && s.head[0] == 0xff
			})
		},
	},
	{
		"definitions that are left out",
		"of cached metadata (4.7), the driver heeds the mark in the first result of a statement's query only: elsewhere it waits for definitions that are not due",
		func(c *comparison) bool {
			return c.cache() && c.any(func(s sighting) bool {
				return s.event.Kind == session.KindColumnCount && s.length > 1 && s.head[1] != 1
			})
		},
	},
	{
		"a file that is refused",
		"the driver reads one packet behind the empty file and does not look at it",
		func(c *comparison) bool { return c.alone.class == refusal && c.has(session.KindLocalInfile) },
	},
}
