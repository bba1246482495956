package session

import "encoding/binary"

// answer takes a packet of the answer to a command; ERR is dealt with before.
func (t *Tracker) answer(p *Packet, ev *Event) {
	if len(p.Prefix) == 0 && t.phase > PhaseCommand && t.phase < PhaseMoreResults {
		// No definition, no row and no end of them is empty.
		ev.Violation = Malformed
		t.number(p, ev)
		return
	}
	switch t.phase {
	case PhaseCommand, PhaseMoreResults:
		t.head(p, ev)
	case PhaseColumns:
		t.column(p, ev)
	case PhaseRows:
		t.row(p, ev)
	case PhasePrepare:
		t.prepared(p, ev)
	case PhaseEvents:
		t.event(p, ev)
	}
}

// head takes the first packet of an answer or of a further result.
func (t *Tracker) head(p *Packet, ev *Event) {
	g := t.cmd.grammar()
	if t.phase == PhaseMoreResults {
		g = answerResult
	}
	if len(p.Prefix) == 0 {
		ev.Violation = Malformed
		t.number(p, ev)
		t.untrack()
		return
	}
	first := p.Prefix[0]
	switch g {
	case answerStatus:
		// COM_SET_OPTION, COM_DEBUG and others have an EOF, or had one.
		if first != headOK && (!t.terminator(p) || t.cmd == ComPing) {
			t.unexpected(p, ev)
			return
		}
		t.endOfResult(p, ev)
	case answerText:
		ev.Kind = KindText
		t.number(p, ev)
		t.answered(ev)
	case answerColumns:
		t.phase, t.left = PhaseColumns, unknownCount
		t.column(p, ev)
	case answerRows:
		t.phase = PhaseRows
		t.row(p, ev)
	case answerPrepare:
		t.prepareOK(p, ev)
	case answerEvents:
		t.phase = PhaseEvents
		t.event(p, ev)
	case answerClone:
		t.cloning(p, ev)
	case answerResult:
		if t.uploaded && first != headOK {
			t.unexpected(p, ev)
			return
		}
		t.uploaded = false
		switch first {
		case headOK:
			t.endOfResult(p, ev)
		case headEOF: // never: the end of another result, say
			t.unexpected(p, ev)
		case headNull:
			// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_local_infile_request.html
			ev.Kind = KindLocalInfile
			t.number(p, ev)
			t.phase, t.asked, t.behind = PhaseLocalInfile, true, false
		default:
			t.columnCount(p, ev)
		}
	}
}

// unexpected takes a packet that cannot be an answer to this command. Whose
// answer it is cannot be known, so nothing after it can be.
func (t *Tracker) unexpected(p *Packet, ev *Event) {
	ev.Kind = kindOfStatus(p)
	t.number(p, ev)
	if ev.Violation == None {
		ev.Violation = UnexpectedKind
	}
	t.untrack()
}

// endOfResult takes an OK or EOF that ends a result.
func (t *Tracker) endOfResult(p *Packet, ev *Event) {
	var flags uint16
	var ok bool
	switch {
	case p.Prefix[0] != headEOF:
		ev.Kind = KindOK
		flags, ok = okStatus(p.Prefix)
	case t.caps&clientDeprecateEOF == 0:
		ev.Kind = KindEOF
		flags, ok = eofStatus(p.Prefix)
	default:
		ev.Kind = KindOK
		if p.Length == 5 { // an OK has seven bytes: it is the EOF that OK should have replaced
			ev.Kind = KindEOF
			t.classic = t.classic || t.phase == PhaseRows
		}
		flags, ok = okStatus(p.Prefix) // which reads an EOF as well
	}
	if !ok {
		ev.Violation = Malformed
		t.number(p, ev)
		t.untrack()
		return
	}
	t.number(p, ev)
	t.status = flags
	if t.outs && ev.Kind == KindEOF {
		flags |= statusMoreResultsExists
	}
	// Elsewhere the flag is left over from an earlier answer, and clients do
	// not wait.
	if flags&statusMoreResultsExists != 0 && t.cmd.grammar() == answerResult {
		t.phase, t.asked, t.behind = PhaseMoreResults, false, t.behind || t.asked
		return
	}
	t.answered(ev)
}

// columnCount takes the head of a result set.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html
func (t *Tracker) columnCount(p *Packet, ev *Event) {
	ev.Kind = KindColumnCount
	count, n := lenenc(p.Prefix)
	if n == 0 || count == 0 || count > maxColumns {
		ev.Violation = Malformed
		t.number(p, ev)
		t.untrack()
		return
	}
	t.number(p, ev)
	t.left, t.outs = uint32(count), false
	// MariaDB may leave the definitions out and says so in a byte behind the
	// count: https://mariadb.com/kb/en/result-set-packets/#column-count-packet
	omitted := false
	if t.ext&extendedCacheMetadata != 0 {
		if len(p.Prefix) <= n {
			ev.Violation = Malformed
			t.untrack()
			return
		}
		omitted = p.Prefix[n] != 1
	}
	switch {
	case !omitted:
		t.phase = PhaseColumns
	case t.caps&clientDeprecateEOF != 0:
		t.phase = PhaseRows
	default:
		t.phase, t.left = PhaseColumns, 0 // the EOF behind the columns still comes
	}
}

const (
	maxColumns   = 1 << 16
	unknownCount = 1 << 31 // COM_FIELD_LIST does not announce one
)

// column takes a column definition or the EOF behind the last one.
func (t *Tracker) column(p *Packet, ev *Event) {
	if t.left == unknownCount {
		if t.terminator(p) {
			t.endOfResult(p, ev)
			return
		}
		ev.Kind = KindColumn
		t.number(p, ev)
		return
	}
	if t.left > 0 {
		ev.Kind = KindColumn
		t.left--
		t.definition(p, ev)
		if t.left == 0 && t.caps&clientDeprecateEOF != 0 {
			t.phase = PhaseRows
		}
		return
	}
	if t.unsure && t.learn(p) {
		t.phase = PhaseRows
		t.row(p, ev)
		return
	}
	if !t.terminator(p) {
		t.unexpected(p, ev)
		return
	}
	ev.Kind = KindEOF
	flags, ok := eofStatus(p.Prefix)
	if !ok {
		ev.Violation = Malformed
	}
	t.number(p, ev)
	t.phase, t.outs = PhaseRows, outParameters(flags)
	if t.cursor && flags&statusCursorExists != 0 {
		t.cursorOpened(ev)
	}
}

// outParameters reports whether the EOF behind columns says that the row is of the OUT
// parameters of a CALL, as clients with CLIENT_PS_MULTI_RESULTS get them, and that more
// follows. MySQL 9.7 says the latter here alone, and not behind the row, which its own
// client library knows (cli_read_binary_rows); MariaDB says it twice.
func outParameters(flags uint16) bool {
	const both = statusOutParameters | statusMoreResultsExists
	return flags&both == both
}

// row takes a row or the end of the rows.
func (t *Tracker) row(p *Packet, ev *Event) {
	if t.terminator(p) {
		t.endOfResult(p, ev)
		return
	}
	ev.Kind = KindRow
	if t.binary && p.Prefix[0] != 0 {
		ev.Violation = UnexpectedKind
	}
	t.rows++
	t.number(p, ev)
}

// terminator tells the end of rows from a row that begins with 0xFE, the mark
// of an 8-byte length: a value of such a length takes more than one packet. The
// end may be longer than the manual's EOF: some servers put text behind it.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html
func (t *Tracker) terminator(p *Packet) bool {
	return len(p.Prefix) > 0 && p.Prefix[0] == headEOF && p.Length < maxPayload
}

// prepareOK takes the head of the answer to COM_STMT_PREPARE.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
func (t *Tracker) prepareOK(p *Packet, ev *Event) {
	if p.Prefix[0] != headOK || len(p.Prefix) < 9 || p.Length > maxPrepareOK || len(p.Prefix) > 9 && p.Prefix[9] != 0 {
		// An OK of another length, or with text where a zero must be, answers
		// something else.
		t.unexpected(p, ev)
		return
	}
	ev.Kind = KindPrepareOK
	t.number(p, ev)
	t.columns = uint32(binary.LittleEndian.Uint16(p.Prefix[5:]))
	t.left = uint32(binary.LittleEndian.Uint16(p.Prefix[7:]))
	t.params = t.left > 0
	t.nextBlock(ev)
}

// maxPrepareOK is the length of a COM_STMT_PREPARE_OK with a byte for optional
// metadata at its end. Most have 12 bytes; Doris was seen to send 10.
const maxPrepareOK = 13

// nextBlock goes on to the parameters, the columns, or the end of the answer.
func (t *Tracker) nextBlock(ev *Event) {
	switch {
	case t.left > 0:
		t.phase = PhasePrepare
	case t.columns > 0:
		t.left, t.columns, t.params = t.columns, 0, false
		t.phase = PhasePrepare
	default:
		t.answered(ev)
	}
}

// prepared takes a definition of COM_STMT_PREPARE or the EOF behind a block.
func (t *Tracker) prepared(p *Packet, ev *Event) {
	if t.left > 0 {
		ev.Kind = KindColumn
		if t.params {
			ev.Kind = KindParameter
		}
		t.left--
		t.definition(p, ev)
		if t.left == 0 && t.caps&clientDeprecateEOF != 0 {
			t.nextBlock(ev)
		}
		return
	}
	if t.unsure && t.learn(p) {
		if t.nextBlock(ev); t.phase == PhasePrepare {
			t.prepared(p, ev)
		} else {
			t.unexpected(p, ev)
		}
		return
	}
	if !t.terminator(p) {
		t.unexpected(p, ev)
		return
	}
	ev.Kind = KindEOF
	t.number(p, ev)
	t.nextBlock(ev)
}
