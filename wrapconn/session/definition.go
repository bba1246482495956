package session

// definition takes a column or parameter definition whose kind is known.
func (t *Tracker) definition(p *Packet, ev *Event) {
	if !wholeDefinition(p) {
		ev.Violation = Malformed
	}
	t.number(p, ev)
}

// wholeDefinition reports whether a definition can have the length that it has,
// as far as its first bytes tell: six strings, and 11 bytes at least behind them.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
func wholeDefinition(p *Packet) bool {
	pos := uint64(0)
	for range 6 {
		if pos >= uint64(len(p.Prefix)) {
			return pos < uint64(p.Length)
		}
		if v := p.Prefix[pos]; v < headNull && uint32(v) <= p.Length { // nearly always
			pos += 1 + uint64(v)
			continue
		}
		v, n := lenenc(p.Prefix[pos:])
		if n == 0 { // a length that breaks off, here or in the packet
			return uint64(p.Length) > uint64(len(p.Prefix))
		}
		if v > uint64(p.Length) {
			return false
		}
		pos += uint64(n) + v
	}
	return pos+11 <= uint64(p.Length)
}
