package grammar_test

import (
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

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

// leavesOut reports whether a column count says that no definitions follow.
func leavesOut(head []byte) bool {
	flag := 1
	if len(head) > 0 && head[0] == 0xfc {
		flag = 3
	}
	return len(head) > flag && head[flag] != 1
}

var differences = []difference{
	// The guard complains and the driver does not.
	{
		"leftover in a compressed frame",
		"the driver throws away what its inflater still holds when it sends the next packet; one that nobody asked for is worth a report",
		func(c *comparison) bool {
			return c.compressed && c.alone.class <= badValue && c.alone.valid &&
				(c.at(session.Unsolicited, session.PhaseReady) || c.at(session.Malformed, session.PhaseReady, session.PhaseLocalInfile) || c.at(session.UnexpectedKind, session.PhaseLocalInfile) || c.report == nil && !c.idle && !c.starved)
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
			return c.at(session.Malformed, session.PhaseColumns) && c.kind(session.KindColumn) && c.alone.class <= badValue && !c.skipsDefinitions() &&
				c.any(func(s sighting) bool { return s.phase == session.PhaseMoreResults })
		},
	},
	{
		"the packet behind the definitions",
		"where an EOF is due behind definitions, the driver takes any packet for it",
		func(c *comparison) bool {
			return (c.eof() || c.mutatedLogin) && c.alone.class <= badValue && !c.kind(session.KindColumn, session.KindParameter) &&
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
		"exec, and the close of unread rows, read rows of a statement to their end without looking at their first byte",
		func(c *comparison) bool {
			return c.at(session.UnexpectedKind, session.PhaseRows) && c.kind(session.KindRow) && (c.op == opStmtExec || c.op == opStmtQuery && c.alone.class <= badValue)
		},
	},
	{
		"an OK that is longer than a COM_STMT_PREPARE_OK",
		"the driver reads the id of a statement and two counts out of any OK; the text behind an ordinary one makes nonsense of them",
		func(c *comparison) bool {
			return c.op == opPrepare && c.at(session.UnexpectedKind, session.PhaseCommand) && c.kind(session.KindOK)
		},
	},

	{
		"what the driver takes for a greeting",
		"of a protocol version above 10, or whose version has no end: bytes of other protocols look so, and the guard does not hand them on",
		func(c *comparison) bool { return c.connecting && c.at(session.NotMySQL) },
	},
	{
		"a login that fails",
		"in place of the greeting, out of turn or with a wrong number, an ERR tells more than that the login failed; the driver hangs up either way",
		func(c *comparison) bool {
			return c.connecting && c.alone.class == sqlError && (c.at(session.Refused) || c.at(session.MisnumberedError) || c.at(session.Unsolicited))
		},
	},
	{
		"a login that the driver gives up",
		"over a plugin that it does not have, or may not use: it ignores the rest of what came",
		func(c *comparison) bool { return c.connecting && c.alone.class == refusal },
	},
	{
		"a switch to a plugin without a name",
		"the driver takes it for the end of the login",
		func(c *comparison) bool {
			return c.connecting && c.any(func(s sighting) bool { return s.event.Kind == session.KindAuthSwitch && s.length > 1 && s.head[1] == 0 })
		},
	},
	{
		"AuthMoreData in place of an OK",
		"of plugins that have none the driver takes it for the OK, and goes on to send its first command",
		func(c *comparison) bool {
			return c.connecting && c.alone.class == content && c.any(func(s sighting) bool { return s.event.Kind == session.KindAuthMoreData })
		},
	},

	// The driver complains and the guard does not.
	{
		"data of a plugin that is not known",
		"MariaDB's send theirs without a mark, and PARSEC an empty packet; the driver has none of these plugins",
		func(c *comparison) bool {
			return c.connecting && c.report == nil && c.alone.class == protocol && c.any(func(s sighting) bool {
				return s.event.Kind == session.KindAuthMoreData && (s.length == 0 || s.head[0] != 1)
			})
		},
	},
	{
		"a second switch of the plugin",
		"MariaDB's accounts with two plugins make one; the driver knows only one",
		func(c *comparison) bool {
			n := 0
			for _, s := range c.seen {
				if s.event.Kind == session.KindAuthSwitch {
					n++
				}
			}
			return c.connecting && n > 1
		},
	},
	{
		"a public key",
		"the guard looks at its first bytes only",
		func(c *comparison) bool {
			return c.connecting && c.report == nil && c.alone.class == protocol && c.any(func(s sighting) bool { return s.event.Kind == session.KindAuthMoreData }) &&
				slices.ContainsFunc([]string{"em data found", "x509: ", "asn1: "}, func(s string) bool { return strings.Contains(c.alone.err.Error(), s) })
		},
	},
	{
		"an ERR in place of a public key",
		"the driver has an error of its own for it, and does not give the server's",
		func(c *comparison) bool {
			return c.connecting && c.report == nil && c.alone.class == protocol && c.has(session.KindERR)
		},
	},
	{
		"the beginning of a packet in a login",
		"behind the greeting, say: the driver will not write while it is in its buffer; the guard waits for its end",
		func(c *comparison) bool { return c.connecting && c.report == nil && c.alone.err == mysql.ErrBusyBuffer },
	},
	{
		"values in a row",
		"the guard does not look at rows: a value that does not fit its column, or is longer than its row, is the driver's to find",
		func(c *comparison) bool {
			return c.report == nil && c.idle && c.has(session.KindRow) && (c.alone.class == badValue || c.alone.where == "readRow")
		},
	},
	{
		"the rest of a packet",
		"of a definition, or of a switch of the plugin, the guard looks at the first 32 bytes",
		func(c *comparison) bool {
			if c.connecting {
				return c.report == nil && c.any(func(s sighting) bool { return s.length > 32 && s.event.Kind == session.KindAuthSwitch })
			}
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
			return c.op == opStmtQuery && c.alone.class == content && len(c.seen) > 0 && (c.seen[0].event.Kind == session.KindOK || c.seen[0].event.Kind == session.KindLocalInfile)
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
		"an ERR among rows that are skipped",
		"the driver goes on to skip when they are closed: it takes a packet too many, or waits for one",
		func(c *comparison) bool {
			return c.alone.class == sqlError && (c.at(session.Unsolicited, session.PhaseReady) || c.report == nil && c.starved) &&
				c.any(func(s sighting) bool { return s.phase == session.PhaseRows && s.event.Kind == session.KindERR })
		},
	},
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
		"of cached metadata, the driver follows the mark only in the first result of a statement's query; elsewhere it waits for definitions that are not due",
		func(c *comparison) bool {
			return (c.cache() || c.mutatedLogin) && c.any(func(s sighting) bool {
				return s.event.Kind == session.KindColumnCount && leavesOut(s.head)
			})
		},
	},
	{
		"a file that is refused",
		"the driver reads one packet behind the empty file and does not look at it",
		func(c *comparison) bool { return c.alone.class == refusal && c.has(session.KindLocalInfile) },
	},
}
