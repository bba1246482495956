package grammar_test

import (
	"fmt"
	"strings"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// dice makes choices from the bytes of a fuzzer; behind their end all are 0.
type dice []byte

func (d *dice) roll(n int) int {
	if len(*d) == 0 {
		return 0
	}
	v := int((*d)[0])
	*d = (*d)[1:]
	return v % n
}

func (d *dice) one(in, of int) bool { return d.roll(of) >= of-in }

// exchange is one operation and what the server says in it.
type exchange struct {
	op
	segments [][]packet
}

func (x exchange) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", x.op)
	for _, s := range x.segments {
		for _, p := range s {
			fmt.Fprintf(&b, "\t#%d %x", p.seq, p.payload[:min(len(p.payload), 80)])
			if p.lies {
				fmt.Fprintf(&b, " said to have %d bytes", p.length)
			}
			b.WriteByte('\n')
		}
		b.WriteString("\t--\n")
	}
	return b.String()
}

// exchanges makes operations with lawful answers, and then breaks some of them.
func (d *dice) exchanges(on dialect) []exchange {
	var out []exchange
	prepared := false // as far as the script knows
	for range 1 + d.roll(4) {
		o := op(d.roll(int(numOps)))
		if !prepared && o > opPrepare {
			o = opPrepare
		}
		prepared = o == opPrepare || prepared && o != opStmtClose
		x := exchange{o, d.answer(on, o)}
		if o != opStmtClose {
			for range d.roll(3) {
				d.mutate(on, x.segments)
			}
		}
		out = append(out, x)
	}
	return out
}

var statuses = []uint16{2, 2, 2, 0, 0x22, 0x42, 0x8002, 3}

// answer is what a server may say to o.
func (d *dice) answer(on dialect, o op) [][]packet {
	s := script{dialect: on, seq: 1}
	switch o {
	case opPing:
		s.say(okay(statuses[d.roll(len(statuses))]))
		return [][]packet{s.out}
	case opPrepare:
		c, p := d.roll(3), d.roll(3)
		s.prepared(prepareOK(c, p), c, p)
		return [][]packet{s.out}
	case opStmtClose:
		return nil
	}
	binary := o == opStmtQuery || o == opStmtExec
	segments := [][]packet{}
	for more := uint16(mysqltest.StatusMoreResults); more != 0; {
		if d.roll(3) < 2 {
			more = 0
		}
		status := statuses[d.roll(len(statuses))]&^mysqltest.StatusMoreResults | more
		switch d.roll(6) {
		case 0, 1, 2:
			s.rows(d, binary, status)
		case 3, 4:
			s.say(okay(status))
		case 5:
			if d.one(1, 3) {
				s.say(failure(1064))
				more = 0
				break
			}
			// A file: the driver refuses it, or has a reader for it.
			name := "\xfbnot registered"
			if d.one(1, 2) {
				name = "\xfbReader::grammar"
			}
			s.say([]byte(name))
			segments = append(segments, s.out)
			sent := byte(1) // the empty packet
			if name != "\xfbnot registered" {
				sent = 2
			}
			s.out, s.seq = nil, s.seq+sent
			s.say(okay(status))
		}
	}
	return append(segments, s.out)
}

func (s *script) rows(d *dice, binary bool, status uint16) {
	n := 1 + d.roll(3)
	columnStatus := statuses[d.roll(len(statuses))]
	var rows [][]byte
	for range d.roll(4) {
		values := make([]string, n)
		for i := range values {
			values[i] = strings.Repeat("x", d.roll(5))
		}
		if binary {
			rows = append(rows, binaryRow(values...))
			continue
		}
		var row []byte
		for _, v := range values {
			row = mysqltest.AppendLenEncString(row, v)
		}
		rows = append(rows, row)
	}
	s.result(columnsOf(n, 0), true, rows, columnStatus, status)
}

// words are packets that mean something somewhere.
func words(on dialect) [][]byte {
	column := mysqltest.ColumnPayload(mysqltest.Column{Name: "c"})
	return [][]byte{
		okay(2), okay(2 | 8), okay(0x42), mysqltest.EOFPayload(0, 2), mysqltest.EOFPayload(0, 2|8), mysqltest.EOFPayload(0, 0x42),
		mysqltest.ResultEndPayload(2, 0), mysqltest.ResultEndPayload(2|8, 0), append(mysqltest.ResultEndPayload(2, 0), "\x051 of 1"...),
		failure(1064), failure(4031), failure(1053), failure(0xffff), mysqltest.ERRPayload(1040, "", "Too many connections"),
		nil, {0}, {1}, {2}, {0xfb}, {0xfe}, {0xff}, {1, 1}, {1, 0}, {1, 2}, {0xfe, 0, 0}, {0xff, 0x28, 4}, {0, 0, 0, 2},
		column, binaryRow("x"), {1, 'x'}, {0xfc, 1, 0}, {0xfc, 0, 0}, prepareOK(0, 0), prepareOK(1, 1), prepareOK(0, 0)[:9],
		[]byte("\xfbnot registered"), []byte("\xfbReader::grammar"), append(okay(0x4002), "\x00\x0d\x00\x0b\x0aautocommit"...),
		[]byte("\xfemysql_native_password\x00abcdefghijklmnopqrst\x00"), []byte("\xfecaching_sha2_password\x00abcdefghijklmnopqrst\x00"),
		{1, 3}, {1, 4}, on.greeting(""),
	}
}

// mutate breaks something.
func (d *dice) mutate(on dialect, segments [][]packet) {
	if len(segments) == 0 {
		return
	}
	si := d.roll(len(segments))
	s := segments[si]
	if len(s) == 0 {
		return
	}
	i := d.roll(len(s))
	all := words(on)
	renumber := func(from int, by byte) {
		for j := from; j < len(s); j++ {
			s[j].seq += by
		}
	}
	p := &s[i]
	own := func() { p.payload = append([]byte(nil), p.payload...) }
	switch d.roll(12) {
	case 0:
		p.seq += byte(1 + d.roll(255))
	case 1:
		renumber(i, byte(1+d.roll(255)))
	case 2:
		s = append(s[:i:i], s[i+1:]...)
		if d.one(1, 2) {
			renumber(i, 255)
		}
	case 3:
		s = append(s[:i+1:i+1], s[i:]...)
		if d.one(1, 2) {
			renumber(i+1, 1)
		}
	case 4, 5:
		s = append(s[:i:i], append([]packet{{seq: p.seq, payload: all[d.roll(len(all))]}}, s[i:]...)...)
		if d.one(3, 4) {
			renumber(i+1, 1)
		}
	case 6, 7:
		p.payload = all[d.roll(len(all))]
	case 8, 9:
		if len(p.payload) == 0 {
			break
		}
		own()
		at := d.roll(min(len(p.payload), 12))
		if d.one(1, 4) {
			at = d.roll(len(p.payload))
		}
		values := []byte{0, 1, 2, 3, 8, 0x0a, 0x40, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff}
		if v := d.roll(len(values) + 3); v < len(values) {
			p.payload[at] = values[v]
		} else {
			p.payload[at] = byte(d.roll(256))
		}
	case 10:
		p.payload = p.payload[:d.roll(len(p.payload)+1)]
	case 11:
		switch d.roll(3) {
		case 0:
			own()
			for range 1 + d.roll(12) {
				p.payload = append(p.payload, byte(d.roll(256)))
			}
		case 1:
			p.lies, p.length = true, d.roll(256)
		case 2: // the end comes early
			s = s[:i+d.roll(2)]
		}
	}
	segments[si] = s
}

// harmless reports whether the driver may be given a segment: it makes room for
// as many columns as it is told to expect.
func harmless(segment []packet) bool {
	for b := stream(segment); len(b) > 4; {
		n := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		payload := b[4:min(len(b), 4+n)]
		if n >= mysqltest.MaxPacket {
			return false
		}
		if len(payload) > 3 && payload[0] == 0xfd && payload[3] > 0 || len(payload) > 8 && payload[0] == 0xfe && len(strings.Trim(string(payload[3:9]), "\x00")) > 0 {
			return false
		}
		b = b[min(len(b), 4+n):]
	}
	return true
}
