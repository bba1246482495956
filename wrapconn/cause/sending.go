package cause

import (
	"fmt"
	"strings"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// waitsForVerdict: the file of a LOAD DATA LOCAL has left whole, and OK or ERR is due.
var waitsForVerdict = fact{is: "a file had just been sent", holds: func(e *Evidence) bool {
	return e.FileSent > 0 && e.Phase == session.PhaseCommand && !e.BeforeCommand
}}

// ofFile reports whether the server's ERR is about the file of a LOAD DATA LOCAL, and not about a command.
func ofFile(e *Evidence) bool {
	return e.Phase == session.PhaseLocalInfile || e.Phase == session.PhaseCommand && e.FileSent > 0
}

// leastSize is what the command has at least, by what was written of it. What the
// socket did not take (Unsent) is a part of that: it was seen before. Records of TLS
// weigh some more than what is in them.
func leastSize(e *Evidence) int64 {
	n := e.CommandBytes
	if e.TLS != TLSNone {
		n -= n / 50
	}
	return n
}

// sendingRules are about what this side sent and how it arrived.
var sendingRules = []rule{
	{
		// The ERR is often there although the client only saw its write fail:
		// with 20 and 40 MB against a limit of 1 MB the driver reported a broken
		// pipe, and a read after the failed write found the ERR.
		slug:     "packet_too_large",
		severity: Error,
		title:    "The command is larger than the server takes",
		signs: []sign{
			{said(erPacketTooLarge)},
			// The refusal was the proper answer to the command before; then the
			// server hangs up, and whoever uses the connection next meets that.
			{ended, noPacket, loggedIn, lastWord(erPacketTooLarge)},
		},
		titled: func(e *Evidence) string {
			switch {
			case e.ServerError == nil:
				return "The command before was larger than the server takes"
			case ofFile(e):
				return "The packets of the file are larger than the server takes"
			}
			return ""
		},
		explain: func(e *Evidence) string {
			if e.ServerError == nil {
				return fmt.Sprintf("The server had refused the command before as too large (%s); then the connection was %s, as it always is after that.", lastWords(e), e.ending())
			}
			if ofFile(e) {
				return fmt.Sprintf("The server refused a packet of the file of LOAD DATA LOCAL INFILE (%s) and closed the connection. Statements in front of it in the same command have been run, and rows of the file that came before may be loaded.", e.words())
			}
			left := ""
			if e.Unsent > 0 {
				left = fmt.Sprintf(" The last %s of it had not left this process.", count(e.Unsent, "byte", "bytes"))
				if !exact(e) {
					left = " At least the" + strings.TrimPrefix(left, " The")
				}
				if !e.ours() {
					left = fmt.Sprintf(" It did not take %s of what %s had sent.", unsent(e), e.who())
				}
			}
			size := ""
			if e.Direction == session.FromClient && e.Length > 0 {
				size = fmt.Sprintf(" of at least %s", count(e.Length, "byte", "bytes"))
			} else if sent := leastSize(e); sent > 1<<16 {
				size = fmt.Sprintf(" of at least %d.%d MB", sent/1e6, sent/1e5%10)
			}
			return fmt.Sprintf("The server refused the command%s (%s) and closed the connection.%s", size, e.words(), left)
		},
		advise: func(e *Evidence) string {
			if e.ServerError == nil {
				return "After ERR 1153, do not use the connection again and do not send the same command again: give the connection back to the pool, and make the command smaller or raise max_allowed_packet."
			}
			if ofFile(e) {
				return "Raise max_allowed_packet on the server" + e.inGo(": go-sql-driver sends a file in packets of 16 KiB. With maxAllowedPacket=0 in the DSN the driver asks the server for its limit and makes them smaller", "") + ". Check what has been executed before you run the command again."
			}
			return "Send less at once (smaller batches of rows; large values in pieces) or raise max_allowed_packet on the server. " + e.inGo("With maxAllowedPacket=0 in the DSN the driver asks the server for its limit and refuses larger commands itself. ", "") + "A proxy has a limit of its own."
		},
		executed: func(e *Evidence) Executed {
			if e.ServerError == nil {
				return ifSent(e)
			}
			return neverBegun(e)
		},
	},
	{
		slug:     "split_packet_misnumbered",
		severity: Error,
		title:    "The client numbered the parts of a large packet wrongly",
		signs:    when(fromClient, violation(session.SequenceMismatch), fact{is: "the packet continues another one", holds: func(e *Evidence) bool { return e.Kind == session.KindContinuation }}),
		explain: func(e *Evidence) string {
			return fmt.Sprintf("A command of more than 16 MiB goes out in parts with numbers that count up; a part left %s with %d where %d was due.", e.who(), e.Actual, e.Expected)
		},
		advise: func(e *Evidence) string {
			return "This is a fault of the driver, or two users wrote at once. Update the driver; until then keep commands below 16 MiB" + e.inGo(" (maxAllowedPacket=16777215 in the DSN)", "") + "."
		},
		executed: maybe,
		others:   func(*Evidence) []Slug { return []Slug{"concurrent_use"} },
	},
	{
		slug:     "client_misnumbered",
		severity: Error,
		title:    "The client numbered its packets wrongly",
		signs: []sign{
			{said(erOutOfOrder), fact{is: "a packet of the client had a wrong number", holds: func(e *Evidence) bool { return e.Misnumbered }}, clientNative},
			{fromClient, violation(session.SequenceMismatch), clientNative},
		},
		explain: func(e *Evidence) string {
			if e.ServerError != nil {
				return fmt.Sprintf("The server found the client's packets out of order (%s), and so they were: one left %s with a wrong number.", e.err(), e.who())
			}
			return fmt.Sprintf("A packet (%s) left %s with number %d where %d was due.", e.Kind, e.who(), e.Actual, e.Expected)
		},
		advise: func(*Evidence) string {
			return "This is a fault of the client library, or two users wrote at once; the server is right to end the connection. Update the library, and look for use of one connection by several goroutines, threads or tasks."
		},
		executed: ifSent,
		others:   func(*Evidence) []Slug { return []Slug{"concurrent_use"} },
	},
	{
		// ERR 1156 is the server's word about the packets that it got, never
		// about its own.
		slug:     "renumbered_on_the_way",
		severity: Error,
		title:    "Packets were renumbered, lost or doubled on the way to the server",
		signs:    when(said(erOutOfOrder), ownNumbersRight, guard("TLS was not being set up", func(e *Evidence) bool { return e.Phase != session.PhaseTLS })),
		explain: func(e *Evidence) string {
			header := ""
			if connecting.holds(e) {
				header = " Or something came in front of them: a PROXY header, which MySQL does not know, has the same answer. " + mixedUp
			}
			return fmt.Sprintf("The server found the client's packets out of order (%s), but they left %s with the right numbers: something between the two changed, dropped or repeated them.", e.err(), e.who()) + header
		},
		advise: func(e *Evidence) string {
			header := ""
			if connecting.holds(e) {
				header = " See first whether it sends a PROXY header (HAProxy: send-proxy), and switch that off for MySQL."
			}
			return "Suspect the proxy" + version(e) + "." + header + " Connect once past it: if the error is gone, update the proxy and report it to its makers with the packets of this report."
		},
		executed: ifSent,
		others: func(e *Evidence) []Slug {
			if connecting.holds(e) {
				return []Slug{"proxy_header_refused", "server_shutdown"}
			}
			return nil
		},
	},
	{
		slug:     "upload_interrupted",
		severity: Error,
		title:    "The server stopped reading in the middle of what was sent",
		signs:    when(loggedIn, said(erReadInterrupted, erReadError)),
		explain: func(e *Evidence) string {
			if e.code() == erReadError {
				return fmt.Sprintf("The server's read failed in the middle of a command or file (%s): for it, the direction from %s was closed.", e.err(), e.who())
			}
			return fmt.Sprintf("The server waited for the rest of a command or file and gave up (%s); the command was begun %s ago.", e.err(), dur(e.SinceCommand))
		},
		advise: func(e *Evidence) string {
			if e.code() == erReadError {
				return "Something on the way closed one direction: look for a proxy, sidecar or firewall that half-closes connections, and into its log at this moment."
			}
			return "The sender paused for longer than the server's net_read_timeout (30 s by default): a LOCAL INFILE reader that waits for its source, a process without CPU, or a slow network. Make the reader faster, send less at once, or raise net_read_timeout."
		},
		executed: func(e *Evidence) Executed {
			if e.Phase == session.PhaseLocalInfile {
				return ExecutedUnknown // rows that came before may stay, in a table without transactions
			}
			return ifSent(e)
		},
	},
	{
		slug:     "compression_corrupt",
		severity: Error,
		title:    "The compressed stream cannot be read",
		signs: []sign{
			{said(erUncompress)},
			{fact{is: "a compressed frame is broken", holds: func(e *Evidence) bool { return e.Compression != "" }}},
		},
		explain: func(e *Evidence) string {
			if e.ServerError != nil {
				return fmt.Sprintf("The server could not unpack what %s sent (%s).", e.who(), e.err())
			}
			return fmt.Sprintf("A compressed frame is broken: %s.", e.Compression)
		},
		advise: func(e *Evidence) string {
			return e.inGo("Take compress=true out of the DSN", "Let the client connect without compression") + ": if that helps, a proxy on the way does not follow the compressed protocol, or changes it."
		},
		executed: ifSent,
	},
	{
		// On the wire an aborted load looks like a complete one: the driver ends
		// it with the empty packet, and the server keeps what it got (measured:
		// a reader that failed after 10 rows left 10 rows in the table).
		slug:     "local_infile_partial",
		severity: Error,
		title:    "Only a part of the file was loaded, and the server kept it",
		signs:    when(fact{is: "the file's reader failed in the middle", holds: func(e *Evidence) bool { return e.InfileFailed }}, noERR),
		explain: func(e *Evidence) string {
			said := ""
			if e.InfileError != "" {
				said = " (" + text(e.InfileError) + ")"
			}
			left := ""
			if e.MoreResults {
				left = " The results of the statements behind it are left unread: they may have been run, and the connection must not be used again."
			}
			return "The reader of LOAD DATA LOCAL INFILE failed in the middle" + said + ". The driver then ends the upload as if the file were complete, so the server has loaded, and keeps, the rows that had come." + left
		},
		advise: func(*Evidence) string {
			return "Run LOAD DATA inside a transaction and roll back on error, or delete what was loaded before you load again. Then fix the reader: Exec returned its error."
		},
		executed: ran,
	},
	{
		slug:     "local_infile_aborted",
		severity: Error,
		title:    "The upload of a file ended early",
		signs: []sign{
			{phase(session.PhaseLocalInfile), anyERR},
			// The socket takes a small file at once, so the client is through with it
			// before the words come of a server that has read a part.
			{waitsForVerdict, fromServer, anyERR, violation(session.MisnumberedError),
				fact{is: "the ERR is numbered as if a part of the file had not been read", holds: func(e *Evidence) bool { return e.Actual > 1 && e.Distance() > 0 }}},
			{phase(session.PhaseLocalInfile), over, noERR},
			{waitsForVerdict, ended, noPacket},
		},
		explain: func(e *Evidence) string {
			if e.ServerError != nil && e.Phase != session.PhaseLocalInfile {
				return fmt.Sprintf("The server ended the statement before it had read the whole file of LOAD DATA LOCAL INFILE, which had been sent by then: %s. The number %d where %d was due only says how much of the file it had not read.", e.words(), e.Actual, e.Expected)
			}
			if e.ServerError != nil {
				return fmt.Sprintf("While the file of LOAD DATA LOCAL INFILE was being sent the server ended the statement: %s. The number %d where %d was due only says how much of the file it had not read.", e.words(), e.Actual, e.Expected)
			}
			if waitsForVerdict.holds(e) {
				return fmt.Sprintf("The file of LOAD DATA LOCAL INFILE had been sent whole, and the connection was %s without a word about it: how much of it was read, and loaded, is not known.%s%s", e.ending(), company(e), life(e))
			}
			return fmt.Sprintf("While the file of LOAD DATA LOCAL INFILE was being sent the connection was %s, without a word.%s%s", e.ending(), company(e), life(e))
		},
		advise: func(*Evidence) string {
			return "Act on the server's words if there are any (the data, the table, secure settings); otherwise look for KILL (both servers end a load like this), a restart, a crash, offline_mode, a proxy's time limit, or a reader that was too slow (net_read_timeout). Rows already loaded stay in a table without transactions."
		},
		executed: maybe,
		others: func(e *Evidence) []Slug {
			if e.ServerError != nil {
				return nil
			}
			return []Slug{"connection_killed", "server_shutdown"}
		},
	},
}
