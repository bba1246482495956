package session

import "encoding/binary"

// Usual is a short way for what most packets are: a command, and the packets of a
// result or of an OK. It takes one with which all is well, leaves the tracker as
// Packet would, and returns its kind, and whether it ended the answer. An Event of
// Packet would say nothing more, except which command it is. Of any other packet
// it returns KindUnknown, and has changed nothing.
func (t *Tracker) Usual(d Direction, seq uint8, length uint32, prefix []byte) (k Kind, done bool) {
	if len(prefix) == 0 || length >= maxPayload || t.continued[d] {
		return KindUnknown, false
	}
	if d == FromClient {
		return t.usualCommand(seq, prefix), false
	}
	if seq != t.next {
		return KindUnknown, false
	}
	switch first := prefix[0]; t.phase {
	case PhaseCommand:
		if first == headOK {
			return t.usualEnd(length, prefix)
		}
		// Below 0xFB the number of columns is the byte itself.
		if first >= headNull || t.uploaded || t.ext&extendedCacheMetadata != 0 || t.cmd.grammar() != answerResult {
			return KindUnknown, false
		}
		t.phase, t.left, k = PhaseColumns, uint32(first), KindColumnCount
	case PhaseColumns:
		switch {
		case t.left == 0:
			if first != headEOF || len(prefix) < 5 || t.cursor || t.unsure || outParameters(binary.LittleEndian.Uint16(prefix[3:])) {
				return KindUnknown, false
			}
			t.phase, k = PhaseRows, KindEOF
		case t.left == unknownCount || first == headERR || !wholeDefinition(prefix, length):
			return KindUnknown, false
		default:
			t.left--
			k = KindColumn
			if t.left == 0 && t.caps&clientDeprecateEOF != 0 {
				t.phase = PhaseRows
			}
		}
	case PhaseRows:
		if first == headEOF {
			return t.usualEnd(length, prefix)
		}
		if first == headERR || t.binary && first != 0 {
			return KindUnknown, false
		}
		t.rows++
		k = KindRow
	default:
		return KindUnknown, false
	}
	t.next, t.last, t.started = seq+1, FromServer, true
	return k, false
}

// usualCommand is Usual for a command that has an answer.
func (t *Tracker) usualCommand(seq uint8, prefix []byte) Kind {
	if seq != 0 || t.phase != PhaseReady || t.draining {
		return KindUnknown
	}
	c := Command(prefix[0])
	switch c.grammar() {
	case answerStatus, answerResult, answerPrepare:
	default:
		return KindUnknown
	}
	t.last, t.ahead, t.lastSent = FromClient, false, c
	t.sent++
	t.begin(pendingOf(prefix, 1))
	return KindCommand
}

// usualEnd is Usual for the OK or EOF that ends an answer.
func (t *Tracker) usualEnd(length uint32, prefix []byte) (k Kind, done bool) {
	if len(prefix) < 5 || t.uploaded || t.outs || t.queued() > 0 {
		return KindUnknown, false
	}
	k = KindOK
	switch g := t.cmd.grammar(); {
	case t.phase == PhaseRows && t.caps&clientDeprecateEOF == 0:
		k = KindEOF
	case prefix[1] >= headNull || prefix[2] >= headNull: // numbers of more than a byte
		return KindUnknown, false
	case t.phase == PhaseRows && length == 5: // an EOF where an OK was agreed on
		return KindUnknown, false
	case t.phase != PhaseRows && g != answerResult && g != answerStatus:
		return KindUnknown, false
	}
	status := binary.LittleEndian.Uint16(prefix[3:]) // of both
	if status&statusMoreResultsExists != 0 {
		return KindUnknown, false
	}
	t.status, t.last, t.started = status, FromServer, true
	t.ready()
	return k, true
}
