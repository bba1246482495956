package capture_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture/capturetest"
)

func addr(v6 bool, last byte, port uint16) capture.Addr {
	a := capture.Addr{Port: port}
	if v6 {
		a.IP = [16]byte{0: 0x20, 1: 1, 15: last}
	} else {
		a.IP = [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: last}
	}
	return a
}

func segment(v6 bool) *capture.Segment {
	return &capture.Segment{
		Src: addr(v6, 1, 50000), Dst: addr(v6, 2, 3306), Seq: 0xfffffff0, Ack: 7,
		Flags: capture.ACK | capture.PSH, Payload: []byte("the payload"),
	}
}

var links = []capture.LinkType{
	capture.LinkNull, capture.LinkEthernet, capture.LinkRaw, capture.LinkLoop, capture.LinkSLL, capture.LinkSLL2,
}

// file is a pcap or pcapng file in either byte order.
func file(format string, o binary.AppendByteOrder, link capture.LinkType, at int64, frame []byte, cut int) []byte {
	var b []byte
	kept := frame[:len(frame)-cut]
	switch format {
	case "pcap", "pcap ns":
		magic, unit := uint32(0xa1b2c3d4), int64(1000)
		if format == "pcap ns" {
			magic, unit = 0xa1b23c4d, 1
		}
		b = o.AppendUint32(o.AppendUint32(o.AppendUint32(b, magic), 0x00040002), 0)
		b = o.AppendUint32(o.AppendUint32(o.AppendUint32(b, 0), 1<<18), uint32(link))
		b = o.AppendUint32(o.AppendUint32(b, uint32(at/1e9)), uint32(at%1e9/unit))
		b = o.AppendUint32(o.AppendUint32(b, uint32(len(kept))), uint32(len(frame)))
		return append(b, kept...)
	}
	block := func(kind uint32, body []byte) {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		n := uint32(len(body) + 12)
		b = o.AppendUint32(append(o.AppendUint32(o.AppendUint32(b, kind), n), body...), n)
	}
	block(0x0a0d0d0a, append(o.AppendUint32(nil, 0x1a2b3c4d), make([]byte, 12)...))
	opts := append(o.AppendUint16(o.AppendUint16(nil, 9), 1), 9, 0, 0, 0, 0, 0, 0, 0) // nanoseconds
	block(1, append(o.AppendUint32(o.AppendUint16(o.AppendUint16(nil, uint16(link)), 0), 0), opts...))
	block(10, append(o.AppendUint32(o.AppendUint32(nil, 0x544c534b), 9), "a secret\n"...))
	block(5, make([]byte, 8)) // statistics
	p := o.AppendUint32(o.AppendUint32(o.AppendUint32(nil, 0), uint32(at>>32)), uint32(at))
	block(6, append(o.AppendUint32(o.AppendUint32(p, uint32(len(kept))), uint32(len(frame))), kept...))
	return b
}

func TestFormats(t *testing.T) {
	const at = 1_764_000_000_123_456_000
	for _, format := range []string{"pcap", "pcap ns", "pcapng"} {
		for _, o := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, link := range links {
				for _, v6 := range []bool{false, true} {
					for _, cut := range []int{0, 4} {
						t.Run(fmt.Sprintf("%s/%v/%d/v6=%t/cut=%d", format, o, link, v6, cut), func(t *testing.T) {
							want := segment(v6)
							whole := file(format, o, link, at, capturetest.Frame(link, v6, want), cut)
							var secrets string
							r, err := capture.NewReader(iotest.OneByteReader(bytes.NewReader(whole)))
							if err != nil {
								t.Fatal(err)
							}
							r.Secrets = func(b []byte) { secrets += string(b) }
							var f capture.Frame
							var s capture.Segment
							if err := r.Next(&f); err != nil {
								t.Fatal(err)
							}
							if got := f.Segment(&s); got != capture.IsTCP {
								t.Fatalf("result %d", got)
							}
							n := len(want.Payload) - cut
							if f.Time != at || s.Src != want.Src || s.Dst != want.Dst || s.Seq != want.Seq || s.Ack != want.Ack || s.Flags != want.Flags ||
								!bytes.Equal(s.Payload, want.Payload[:n]) || s.Cut != cut {
								t.Errorf("%d %+v", f.Time, s)
							}
							if format == "pcapng" && secrets != "a secret\n" {
								t.Errorf("secrets %q", secrets)
							}
							if err := r.Next(&f); err != io.EOF {
								t.Errorf("at the end: %v", err)
							}
							// A file that is still being written.
							r, err = capture.NewReader(bytes.NewReader(whole[:len(whole)-1]))
							for err == nil {
								err = r.Next(&f)
							}
							if !errors.Is(err, capture.ErrCut) {
								t.Errorf("a cut file: %v", err)
							}
						})
					}
				}
			}
		}
	}
}

func TestGzip(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(file("pcap", binary.LittleEndian, capture.LinkRaw, 5, capturetest.Frame(capture.LinkRaw, false, segment(false)), 0))
	_ = w.Close()
	r, err := capture.NewReader(&z)
	if err != nil {
		t.Fatal(err)
	}
	var f capture.Frame
	if err := r.Next(&f); err != nil {
		t.Error(err)
	}
}

func TestNotACapture(t *testing.T) {
	for _, s := range []string{"", "abc", "this is text", "\xd4\xc3\xb2\xa1", "\x0a\x0d\x0d\x0a????????????", "\x1f\x8b not gzip"} {
		r, err := capture.NewReader(bytes.NewReader([]byte(s)))
		if err == nil {
			err = r.Next(&capture.Frame{})
		}
		if err == nil || err == io.EOF {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestPadding: a short frame of Ethernet is filled up to 60 bytes.
func TestPadding(t *testing.T) {
	want := segment(false)
	want.Payload = nil
	f := capture.Frame{Link: capture.LinkEthernet, Data: append(capturetest.Frame(capture.LinkEthernet, false, want), make([]byte, 6)...)}
	var s capture.Segment
	if f.Segment(&s) != capture.IsTCP || len(s.Payload) != 0 || s.Cut != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAllocations(t *testing.T) {
	one := file("pcap", binary.LittleEndian, capture.LinkEthernet, 5, capturetest.Frame(capture.LinkEthernet, false, segment(false)), 0)
	src := bytes.NewReader(append(one[:24:24], bytes.Repeat(one[24:], 10000)...))
	r, err := capture.NewReader(src)
	if err != nil {
		t.Fatal(err)
	}
	var f capture.Frame
	var s capture.Segment
	if n := testing.AllocsPerRun(5000, func() {
		if err := r.Next(&f); err != nil || f.Segment(&s) != capture.IsTCP {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// FuzzReader: whatever the file is, no panic, an end, and no more memory than
// bytes were there.
func FuzzReader(f *testing.F) {
	for _, format := range []string{"pcap", "pcapng"} {
		for _, o := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			f.Add(file(format, o, capture.LinkEthernet, 5e9, capturetest.Frame(capture.LinkEthernet, true, segment(true)), 2))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := capture.NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		r.Secrets = func([]byte) {}
		var fr capture.Frame
		var s capture.Segment
		for i := 0; ; i++ {
			if err := r.Next(&fr); err != nil {
				break
			}
			if i > len(b) {
				t.Fatal("more frames than bytes")
			}
			if fr.Cut < 0 {
				t.Fatal("negative")
			}
			if fr.Segment(&s) == capture.IsTCP && s.Cut < 0 {
				t.Fatalf("%+v", s)
			}
		}
	})
}
