package wire_test

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inflated returns a capture of the same conversation without compression:
// tshark 4.0 shows only the first packet of a compressed frame, and of a packet
// that is split over frames it makes nonsense. So the frames are taken apart
// here, in the plainest way, and tshark gets the packets.
func (c *capture) inflated(t *testing.T, client string) *capture {
	t.Helper()
	out := &capture{cmd: c.cmd, file: filepath.Join(t.TempDir(), "inflated.pcap"), addr: c.addr, port: c.port}
	f, err := os.Create(out.file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &pcapWriter{w: bufio.NewWriter(f), ports: [2]uint16{uint16(number(c.port)), uint16(number(client))}}
	w.begin()
	r := &reframer{t: t, out: w}
	c.follow(t, client, r.add)
	if err := w.w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d compressed frames, %d of them deflated", r.frames, r.deflated)
	if r.deflated == 0 {
		t.Error("nothing was compressed")
	}
	return out
}

// follow calls add with the bytes of both directions, in order.
func (c *capture) follow(t *testing.T, client string, add func(fromClient bool, b []byte)) {
	t.Helper()
	cmd := exec.Command("tshark", "-r", c.file, "-q", "-z", "follow,tcp,raw,127.0.0.1:"+client+",127.0.0.1:"+c.port)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReaderSize(out, 1<<20)
	clientIsFirst := false
	for {
		line, err := r.ReadString('\n')
		if port, ok := strings.CutPrefix(strings.TrimSpace(line), "Node 0: 127.0.0.1:"); ok {
			clientIsFirst = port == client
		} else if b, e := hex.DecodeString(strings.TrimSpace(line)); e == nil && len(b) > 0 {
			add(strings.HasPrefix(line, "\t") != clientIsFirst, b)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// reframer takes compressed frames apart.
type reframer struct {
	t                *testing.T
	out              *pcapWriter
	buf              [2][]byte
	login, active    bool // login seen; compression has begun
	frames, deflated int
}

func (r *reframer) add(fromClient bool, b []byte) {
	side := 0
	if fromClient {
		side = 1
	}
	r.buf[side] = append(r.buf[side], b...)
	for {
		b := r.buf[side]
		header := 4
		if r.active {
			header = 7
		}
		if len(b) < header {
			return
		}
		n := header + (int(b[0]) | int(b[1])<<8 | int(b[2])<<16)
		if len(b) < n {
			return
		}
		r.buf[side] = b[n:]
		if r.active {
			r.frame(fromClient, b[:n])
		} else {
			r.packet(fromClient, append([]byte(nil), b[:n]...))
		}
	}
}

// packet is one of the login. The flag of compression is taken out of it: what
// follows looks uncompressed.
func (r *reframer) packet(fromClient bool, b []byte) {
	const flag = 0x20
	switch {
	case !fromClient && b[3] == 0:
		version := bytes.IndexByte(b[5:], 0)
		b[5+version+1+4+8+1] &^= flag
	case fromClient && !r.login:
		r.login = true
		b[4] &^= flag
	case !fromClient && b[4] == 0:
		r.active = true
	}
	r.out.segment(fromClient, b)
}

func (r *reframer) frame(fromClient bool, b []byte) {
	r.frames++
	body := b[7:]
	if n := int(b[4]) | int(b[5])<<8 | int(b[6])<<16; n > 0 {
		r.deflated++
		z, err := zlib.NewReader(bytes.NewReader(body))
		if err != nil {
			r.t.Fatal(err)
		}
		if body, err = io.ReadAll(z); err != nil || len(body) != n {
			r.t.Fatalf("a frame inflates to %d bytes, %v; announced are %d", len(body), err, n)
		}
	}
	for len(body) > 0 {
		n := min(len(body), 60000)
		r.out.segment(fromClient, body[:n])
		body = body[n:]
	}
}

// pcapWriter writes a capture of one TCP connection on which nothing is lost.
type pcapWriter struct {
	w      *bufio.Writer
	ports  [2]uint16 // of the server, of the client
	seq    [2]uint32
	passed uint32
}

func (w *pcapWriter) begin() {
	w.seq = [2]uint32{1, 1}
	h := binary.LittleEndian.AppendUint32(nil, 0xA1B2C3D4)
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = binary.LittleEndian.AppendUint16(h, 4)
	for _, v := range []uint32{0, 0, 1 << 18, 101} { // zone, precision, longest packet, raw IP
		h = binary.LittleEndian.AppendUint32(h, v)
	}
	_, _ = w.w.Write(h)
}

func (w *pcapWriter) segment(fromClient bool, payload []byte) {
	from, to := 0, 1
	if fromClient {
		from, to = 1, 0
	}
	const headers = 40
	w.passed++
	var p []byte
	for _, v := range []uint32{w.passed, 0, uint32(headers + len(payload)), uint32(headers + len(payload))} {
		p = binary.LittleEndian.AppendUint32(p, v)
	}
	p = append(p, 0x45, 0)
	p = binary.BigEndian.AppendUint16(p, uint16(headers+len(payload)))
	p = append(p, 0, 0, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1)
	p = binary.BigEndian.AppendUint16(p, w.ports[from])
	p = binary.BigEndian.AppendUint16(p, w.ports[to])
	p = binary.BigEndian.AppendUint32(p, w.seq[from])
	p = binary.BigEndian.AppendUint32(p, w.seq[to])
	p = append(p, 0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0) // ACK, PSH
	w.seq[from] += uint32(len(payload))
	_, _ = w.w.Write(append(p, payload...))
}
