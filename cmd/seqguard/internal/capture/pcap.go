package capture

import "fmt"

// The classic format: https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/

const (
	pcapHeaderLen = 24
	pcapRecordLen = 16
)

func (r *Reader) openPcap(o byteOrder, nanos int64) error {
	h, err := r.peek(pcapHeaderLen)
	if err != nil {
		return fmt.Errorf("a pcap file that ends within its header")
	}
	r.order, r.nanos = o, nanos
	r.link = LinkType(o.u32(h[20:]) & 0xffff) // above it: the length of a frame check sequence
	if !r.link.known() {
		return fmt.Errorf("a pcap file of link type %d, which is not read: capture on an interface with Ethernet or a loopback (tcpdump -i eth0), or on Linux with -i any", r.link)
	}
	r.use(pcapHeaderLen)
	r.next = r.record
	return nil
}

func (r *Reader) record(f *Frame) error {
	h, err := r.peek(pcapRecordLen)
	if err != nil {
		return err
	}
	n, whole := int(r.order.u32(h[8:])), int(r.order.u32(h[12:]))
	if n > maxBlock {
		return fmt.Errorf("a frame of %d bytes at byte %d: the file is damaged there", n, r.read)
	}
	f.Time = int64(r.order.u32(h))*1e9 + int64(r.order.u32(h[4:]))*r.nanos
	b, err := r.peek(pcapRecordLen + n)
	if err != nil {
		return err
	}
	f.Link, f.Data, f.Cut = r.link, b[pcapRecordLen:], max(whole-n, 0)
	r.use(pcapRecordLen + n)
	return nil
}
