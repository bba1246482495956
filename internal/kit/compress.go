package kit

import (
	"bytes"
	"compress/zlib"
	"io"
	"net"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// StartCompression puts the compressed protocol under a scripted server's packets.
func StartCompression() mysqltest.Step {
	return mysqltest.Do("startCompression", func(s *mysqltest.Session) error {
		s.Conn = &CompressedConn{Conn: s.Conn}
		return nil
	})
}

// CompressedConn is a server's end of the compressed protocol. It sends its frames as they are, which the protocol allows: a length
// before compression of 0. MySQL manual, "Compressed Packet".
type CompressedConn struct {
	net.Conn
	in   bytes.Buffer
	next byte // outer number due
	Skip byte // added to the next number
}

func (c *CompressedConn) Read(p []byte) (int, error) {
	for c.in.Len() == 0 {
		var h [7]byte
		if _, err := io.ReadFull(c.Conn, h[:]); err != nil {
			return 0, err
		}
		b := make([]byte, int(h[0])|int(h[1])<<8|int(h[2])<<16)
		if _, err := io.ReadFull(c.Conn, b); err != nil {
			return 0, err
		}
		c.next = h[3] + 1
		if h[4]|h[5]|h[6] == 0 {
			c.in.Write(b)
			continue
		}
		z, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			return 0, err
		}
		if _, err := io.Copy(&c.in, z); err != nil {
			return 0, err
		}
	}
	return c.in.Read(p)
}

func (c *CompressedConn) Write(p []byte) (int, error) {
	if _, err := c.Conn.Write(Frame(c.next+c.Skip, p)); err != nil {
		return 0, err
	}
	c.next += c.Skip + 1
	c.Skip = 0
	return len(p), nil
}

// Begin makes the next frame the first one of an exchange, as it is of what a server says of its own accord.
func (c *CompressedConn) Begin() { c.next = 0 }

// Frame is an outer packet that is not compressed.
func Frame(seq byte, p []byte) []byte {
	n := len(p)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq, 0, 0, 0}, p...)
}
