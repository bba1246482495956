package capture

import (
	"bytes"
	"fmt"
	"math/bits"
)

// https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/

const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 2 // obsolete, and still in old files
	blockSimple    = 3
	blockEnhanced  = 6
	blockSecrets   = 10

	secretsTLS = 0x544c534b // "TLSK"

	optTimeResolution = 9
	optTimeOffset     = 14

	maxInterfaces = 4096
)

// iface is an interface of a section: what its frames are, and what a tick of
// its clock is.
type iface struct {
	link   LinkType
	snap   uint32
	ticks  uint64 // in a second
	offset int64  // seconds
}

// block reads blocks up to the next one with a frame in it.
func (r *Reader) block(f *Frame) error {
	for {
		h, err := r.peek(12)
		if err != nil {
			return err
		}
		kind := r.order.u32(h)
		if kind == blockSection || [4]byte(h) == [4]byte{0x0a, 0x0d, 0x0d, 0x0a} {
			if err := r.section(h); err != nil {
				return err
			}
			kind = blockSection
		}
		length := r.order.u32(h[4:])
		if length < 12 || length%4 != 0 || length > maxBlock {
			return fmt.Errorf("a block of %d bytes at byte %d: the file is damaged there", length, r.read)
		}
		b, err := r.peek(int(length))
		if err != nil {
			return err
		}
		body := b[8 : length-4]
		is := r.handle(kind, body, f)
		r.use(int(length))
		if is {
			return nil
		}
	}
}

// section takes the byte order from the magic behind the length.
func (r *Reader) section(h []byte) error {
	switch [4]byte(h[8:]) {
	case [4]byte{0x4d, 0x3c, 0x2b, 0x1a}:
		r.order = little
	case [4]byte{0x1a, 0x2b, 0x3c, 0x4d}:
		r.order = big
	default:
		return fmt.Errorf("a pcapng section without a byte order at byte %d", r.read)
	}
	r.ports = r.ports[:0]
	return nil
}

// handle reports whether the block held a frame that can be read.
func (r *Reader) handle(kind uint32, b []byte, f *Frame) bool {
	o := r.order
	switch kind {
	case blockInterface:
		if len(b) >= 8 && len(r.ports) < maxInterfaces {
			p := iface{link: LinkType(o.u16(b)), snap: o.u32(b[4:]), ticks: 1e6}
			p.options(o, b[8:])
			r.ports = append(r.ports, p)
		}
	case blockEnhanced:
		if len(b) < 20 {
			return false
		}
		return r.frame(f, o.u32(b), o.u32(b[4:]), o.u32(b[8:]), int(o.u32(b[12:])), int(o.u32(b[16:])), b[20:])
	case blockPacket:
		if len(b) < 20 {
			return false
		}
		return r.frame(f, uint32(o.u16(b)), o.u32(b[4:]), o.u32(b[8:]), int(o.u32(b[12:])), int(o.u32(b[16:])), b[20:])
	case blockSimple: // it has no time
		if len(b) < 4 || len(r.ports) == 0 {
			return false
		}
		n := int(o.u32(b))
		have := min(n, len(b)-4)
		if s := int(r.ports[0].snap); s > 0 {
			have = min(have, s)
		}
		return r.frame(f, 0, 0, 0, have, n, b[4:])
	case blockSecrets:
		if len(b) < 8 || o.u32(b) != secretsTLS || r.Secrets == nil {
			return false
		}
		n := int(o.u32(b[4:]))
		r.Secrets(bytes.TrimRight(b[8:8+min(n, len(b)-8)], "\x00"))
	}
	return false
}

func (r *Reader) frame(f *Frame, port, high, low uint32, n, whole int, b []byte) bool {
	if int64(port) >= int64(len(r.ports)) || n < 0 || n > len(b) {
		return false
	}
	p := &r.ports[port]
	f.Time, f.Link, f.Data, f.Cut = p.time(uint64(high)<<32|uint64(low)), p.link, b[:n:n], max(whole-n, 0)
	return true
}

func (p *iface) options(o byteOrder, b []byte) {
	for len(b) >= 4 {
		code, n := o.u16(b), int(o.u16(b[2:]))
		b = b[4:]
		if code == 0 || n > len(b) {
			return
		}
		switch {
		case code == optTimeResolution && n >= 1:
			p.resolution(b[0])
		case code == optTimeOffset && n >= 8:
			low, high := uint64(o.u32(b)), uint64(o.u32(b[4:]))
			if o == big {
				low, high = high, low
			}
			p.offset = int64(high<<32 | low)
		}
		b = b[min((n+3)&^3, len(b)):]
	}
}

// resolution: a power of ten, or with the upper bit of two.
func (p *iface) resolution(v byte) {
	n := v & 0x7f
	switch {
	case v&0x80 != 0 && n < 64:
		p.ticks = 1 << n
	case v&0x80 == 0 && n <= 19:
		p.ticks = 1
		for range n {
			p.ticks *= 10
		}
	}
}

func (p *iface) time(t uint64) int64 {
	switch p.ticks {
	case 1e9:
		return p.offset*1e9 + int64(t)
	case 1e6:
		return p.offset*1e9 + int64(t*1000)
	}
	seconds, rest := t/p.ticks, t%p.ticks
	high, low := bits.Mul64(rest, 1e9)
	part, _ := bits.Div64(high, low, p.ticks) // rest < ticks, so high < ticks
	return (p.offset+int64(seconds))*1e9 + int64(part)
}
