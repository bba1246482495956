// Package capturetest writes captures for tests.
package capturetest

import (
	"encoding/binary"
	"io"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
)

// Frame makes a frame of a link type out of a segment; v6 chooses the IP version.
func Frame(link capture.LinkType, v6 bool, s *capture.Segment) []byte {
	ether := uint16(0x0800)
	if v6 {
		ether = 0x86dd
	}
	var b []byte
	be := binary.BigEndian
	switch link {
	case capture.LinkEthernet:
		b = append(make([]byte, 12), 0x81, 0, 0, 7) // with a VLAN tag
		b = be.AppendUint16(b, ether)
	case capture.LinkSLL:
		b = be.AppendUint16(make([]byte, 14), ether)
	case capture.LinkSLL2:
		b = append(be.AppendUint16(nil, ether), make([]byte, 18)...)
	case capture.LinkNull:
		b = []byte{2, 0, 0, 0}
	case capture.LinkLoop:
		b = []byte{0, 0, 0, 2}
	}
	tcp := 20 + len(s.Payload)
	if v6 {
		b = append(b, 0x60, 0, 0, 0)
		b = be.AppendUint16(b, uint16(tcp))
		b = append(b, 6, 64)
		b = append(append(b, s.Src.IP[:]...), s.Dst.IP[:]...)
	} else {
		b = append(b, 0x45, 0)
		b = be.AppendUint16(b, uint16(20+tcp))
		b = append(b, 0, 0, 0x40, 0, 64, 6, 0, 0)
		b = append(append(b, s.Src.IP[12:]...), s.Dst.IP[12:]...)
	}
	b = be.AppendUint16(be.AppendUint16(b, s.Src.Port), s.Dst.Port)
	b = be.AppendUint32(be.AppendUint32(b, s.Seq), s.Ack)
	b = append(b, 0x50, s.Flags, 0xff, 0xff, 0, 0, 0, 0)
	return append(b, s.Payload...)
}

// Writer writes a pcap file with times in nanoseconds.
type Writer struct{ w io.Writer }

// NewWriter writes the header.
func NewWriter(w io.Writer, link capture.LinkType) (*Writer, error) {
	h := make([]byte, 24)
	le := binary.LittleEndian
	le.PutUint32(h, 0xa1b23c4d)
	le.PutUint16(h[4:], 2)
	le.PutUint16(h[6:], 4)
	le.PutUint32(h[16:], 1<<18)
	le.PutUint32(h[20:], uint32(link))
	_, err := w.Write(h)
	return &Writer{w}, err
}

// Write writes a frame of which the last cut bytes are not captured.
func (w *Writer) Write(at int64, frame []byte, cut int) error {
	h := make([]byte, 16, 16+len(frame))
	le := binary.LittleEndian
	le.PutUint32(h, uint32(at/1e9))
	le.PutUint32(h[4:], uint32(at%1e9))
	le.PutUint32(h[8:], uint32(len(frame)-cut))
	le.PutUint32(h[12:], uint32(len(frame)))
	_, err := w.w.Write(append(h, frame[:len(frame)-cut]...))
	return err
}
