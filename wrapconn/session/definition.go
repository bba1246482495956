package session

// definition takes a column or parameter definition whose kind is known.
func (t *Tracker) definition(p *Packet, ev *Event) {
	if !wholeDefinition(p.Prefix, p.Length) {
		ev.Violation = Malformed
	}
	t.number(p, ev)
}

// wholeDefinition reports whether a definition can have the length that it has,
// as far as its first bytes tell: six strings, and 11 bytes at least behind them.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
func wholeDefinition(prefix []byte, length uint32) bool {
	pos := uint64(0)
	for range 6 {
		if pos >= uint64(len(prefix)) {
			return pos < uint64(length)
		}
		if v := prefix[pos]; v < headNull { // nearly always
			pos += 1 + uint64(v)
			continue
		}
		v, n := lenenc(prefix[pos:])
		if n == 0 { // a length that breaks off, here or in the packet
			return uint64(length) > uint64(len(prefix))
		}
		if v > uint64(length) {
			return false
		}
		pos += uint64(n) + v
	}
	return pos+11 <= uint64(length)
}
