package mysqltest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ioTimeout bounds every read and write of a scripted server, and so every test that waits for one. A command of
// 16 MiB through TLS took more than 15 s under the race detector, at a load of 14 on two processors.
const ioTimeout = 60 * time.Second

// Next as a sequence id means: the one that is due, last packet's plus one.
const Next = -1

// Session is one connection of a scripted server.
type Session struct {
	Conn         net.Conn
	Number       int    // of the connection, from 0
	Offered      uint32 // capabilities of the greeting
	Capabilities uint32 // agreed on: offered and asked for in the login
	Payload      []byte // of the packet that was read last
	Seq          byte   // of the packet that was read or written last

	stop <-chan struct{} // closed when the test ends
	idle func(bool)      // tells the server that the test may end while this session waits
}

// ReadPacket reads one packet of the client (a single one: payloads of 16 MiB and more come in several).
func (s *Session) ReadPacket() error { return s.readPacket(time.Now().Add(ioTimeout)) }

func (s *Session) readPacket(deadline time.Time) error {
	if err := s.Conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	var header [4]byte
	if _, err := io.ReadFull(s.Conn, header[:]); err != nil {
		return fmt.Errorf("reading a packet header: %w", err)
	}
	s.Payload = make([]byte, int(header[0])|int(header[1])<<8|int(header[2])<<16)
	s.Seq = header[3]
	if _, err := io.ReadFull(s.Conn, s.Payload); err != nil {
		return fmt.Errorf("reading a payload of %d bytes: %w", len(s.Payload), err)
	}
	return nil
}

// WritePacket writes a packet; seq may be [Next].
func (s *Session) WritePacket(seq int, payload []byte) error {
	if seq == Next {
		seq = int(s.Seq + 1)
	}
	s.Seq = byte(seq + len(payload)/MaxPacket)
	return s.WriteRaw(Packet(byte(seq), payload))
}

// WriteRaw writes bytes as they are.
func (s *Session) WriteRaw(b []byte) error {
	if err := s.Conn.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	_, err := s.Conn.Write(b)
	return err
}

// WriteResultSet writes a whole result set of the text protocol, as agreed on in the login: with CLIENT_DEPRECATE_EOF there is
// no packet between columns and rows, and an OK with the header 0xFE at the end; without it there are two EOF packets.
// MySQL manual, "Text Resultset". The first packet gets id seq.
func (s *Session) WriteResultSet(seq int, columns []Column, rows ...[]any) error {
	return s.writeResultSet(seq, StatusAutocommit, columns, rows)
}

func (s *Session) writeResultSet(seq int, status uint16, columns []Column, rows [][]any) error {
	deprecated := s.Capabilities&CapDeprecateEOF != 0
	payloads := [][]byte{AppendLenEncInt(nil, uint64(len(columns)))}
	for _, c := range columns {
		payloads = append(payloads, ColumnPayload(c))
	}
	if !deprecated {
		payloads = append(payloads, EOFPayload(0, status))
	}
	for _, r := range rows {
		payloads = append(payloads, TextRowPayload(r...))
	}
	if deprecated {
		payloads = append(payloads, ResultEndPayload(status, 0))
	} else {
		payloads = append(payloads, EOFPayload(0, status))
	}
	for _, p := range payloads {
		if err := s.WritePacket(seq, p); err != nil {
			return err
		}
		seq = Next
	}
	return nil
}

// readLogin reads the client's login. MySQL manual, "Protocol::HandshakeResponse41".
func (s *Session) readLogin() error {
	if err := s.ReadPacket(); err != nil {
		return err
	}
	if len(s.Payload) < 32 {
		return fmt.Errorf("a login of %d bytes; the shortest has 32", len(s.Payload))
	}
	s.Capabilities = s.Offered & binary.LittleEndian.Uint32(s.Payload)
	return nil
}

// sleep waits, but not beyond the end of the test.
func (s *Session) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.stop:
		return errors.New("the test ended during a delay")
	}
}

// drain reads until the client has closed the connection or the test ends.
func (s *Session) drain() {
	s.Conn.SetReadDeadline(time.Time{}) // bounded by the end of the test, which closes the connection
	io.Copy(io.Discard, s.Conn)
}
