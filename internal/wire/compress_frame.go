package wire

// frameHeaderLen is the length of the header of a compressed frame: three bytes
// of body length, least significant first, the sequence id, and three bytes of
// the body's length before compression.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression_packet.html
const frameHeaderLen = 7

// FrameHeader is the header of one compressed frame. What the manual calls a
// compressed packet is called a frame here: packets are what is inside.
type FrameHeader struct {
	Length   uint32 // body bytes on the wire
	Seq      uint8  // counts frames, not packets
	Inflated uint32 // body bytes before compression; 0: the body is stored as it is
}

func parseFrameHeader(b []byte) FrameHeader {
	_ = b[frameHeaderLen-1]
	return FrameHeader{Length: uint24(b), Seq: b[3], Inflated: uint24(b[4:])}
}

// FrameHandler is told about the frames of one direction.
type FrameHandler interface {
	// Frame is called for each frame when its header has been seen, before
	// anything of its body goes to the inner Sink.
	Frame(h FrameHeader)
	// Corrupt is called once, when the inside of the stream cannot be
	// followed any further. Frame goes on being called.
	Corrupt(c Corruption)
}
