package grammar_test

import (
	"encoding/binary"
	"strings"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// dialect is what the two sides have agreed on.
type dialect struct {
	name       string
	caps       uint32
	ext        uint32
	compressed bool
}

const base = mysqltest.DefaultCapabilities &^ mysqltest.CapDeprecateEOF

var dialects = []dialect{
	{"with EOF", base, 0, false},
	{"without EOF", base | mysqltest.CapDeprecateEOF, 0, false},
	{"MariaDB with EOF", base &^ mysqltest.CapLongPassword, mysqltest.MariaDBCapCacheMetadata, false},
	{"MariaDB without EOF", base&^mysqltest.CapLongPassword | mysqltest.CapDeprecateEOF, mysqltest.MariaDBCapCacheMetadata, false},
	{"without EOF, compressed", base | mysqltest.CapDeprecateEOF | mysqltest.CapCompress, 0, true},
	{"with EOF, compressed", base | mysqltest.CapCompress, 0, true},
}

func (d dialect) eof() bool   { return d.caps&mysqltest.CapDeprecateEOF == 0 }
func (d dialect) cache() bool { return d.ext&mysqltest.MariaDBCapCacheMetadata != 0 }

func (d dialect) greeting(plugin string) []byte {
	version := "9.7.4"
	if d.ext != 0 {
		version = "5.5.5-10.11.19-MariaDB"
	}
	return mysqltest.GreetingPayload(mysqltest.GreetingOptions{Version: version, ThreadID: 77, Capabilities: d.caps, MariaDB: d.ext, Plugin: plugin})
}

// login is what the server says in a login that succeeds.
func (d dialect) login() [][]packet {
	return [][]packet{{{payload: d.greeting("")}}, {{seq: 2, payload: okay(2)}}}
}

func okay(status uint16) []byte { return mysqltest.OKPayload(0, 0, status, 0) }

func failure(code uint16) []byte { return mysqltest.ERRPayload(code, "HY000", "words") }

// script makes the packets of a segment, numbered on.
type script struct {
	dialect
	out []packet
	seq byte
}

func (s *script) say(payloads ...[]byte) {
	for _, p := range payloads {
		s.out = append(s.out, packet{seq: s.seq, payload: p})
		s.seq++
	}
}

func (s *script) terminator(status uint16) {
	if s.eof() {
		s.say(mysqltest.EOFPayload(0, status))
	} else {
		s.say(mysqltest.ResultEndPayload(status, 0))
	}
}

// result is a result set. follow tells, with cached metadata, whether the
// definitions are sent.
func (s *script) result(columns []mysqltest.Column, follow bool, rows [][]byte, columnStatus, status uint16) {
	head := mysqltest.AppendLenEncInt(nil, uint64(len(columns)))
	if s.cache() {
		b := byte(0)
		if follow {
			b = 1
		}
		head = append(head, b)
	}
	s.say(head)
	if follow || !s.cache() {
		for _, c := range columns {
			s.say(mysqltest.ColumnPayload(c))
		}
	}
	if s.eof() {
		s.say(mysqltest.EOFPayload(0, columnStatus))
	}
	s.say(rows...)
	s.terminator(status)
}

func columnsOf(n int, kind byte) []mysqltest.Column {
	out := make([]mysqltest.Column, n)
	for i := range out {
		out[i] = mysqltest.Column{Name: strings.Repeat("c", i+1), Type: kind}
	}
	return out
}

// binaryRow is a row of strings: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
func binaryRow(values ...string) []byte {
	b := make([]byte, 1+(len(values)+9)/8)
	for _, v := range values {
		b = mysqltest.AppendLenEncString(b, v)
	}
	return b
}

func prepareOK(columns, params int) []byte {
	b := []byte{0, 1, 0, 0, 0}
	b = binary.LittleEndian.AppendUint16(b, uint16(columns))
	b = binary.LittleEndian.AppendUint16(b, uint16(params))
	return append(b, 0, 0, 0)
}

// prepared is a whole answer to COM_STMT_PREPARE.
func (s *script) prepared(head []byte, columns, params int) {
	s.say(head)
	for _, n := range []int{params, columns} {
		for _, c := range columnsOf(n, 0) {
			s.say(mysqltest.ColumnPayload(c))
		}
		if n > 0 && s.eof() {
			s.say(mysqltest.EOFPayload(0, 2))
		}
	}
}
