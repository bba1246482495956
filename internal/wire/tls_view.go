package wire

const (
	// tlsBlockMax is the most that is decrypted block by block in one go; from
	// here on decrypting it in bulk is cheaper: 192 bytes of AES cost 138 ns
	// and 165 ns, 256 bytes 192 ns and 116 ns (BenchmarkTLSCipher).
	tlsBlockMax = 192

	// tlsChunk is how much is decrypted at a place where the sink wants to look
	// at something: a packet header and the wanted prefix, 36 bytes, wherever
	// in a block they begin. It is one block of ChaCha20, four of AES.
	tlsChunk = 64

	// tlsDense is how many records behind one full of small packets are
	// decrypted whole without a look at their beginning first.
	tlsDense = 8
)

// view shows the sink what it wants of a record of application data and skips
// the rest. c is ciphertext from the beginning of the record.
func (h *tlsHalf) view(c []byte) {
	looked := false
	for off := 0; off < len(c) && !h.t.opaque(); {
		rest := len(c) - off
		skip, _ := h.sink.Wants()
		n := min(skip, rest)
		switch {
		case n > 0 && (n == rest || !looked || n >= h.epoch.keys.gap()):
			if n == len(c) {
				h.tally = 0
			}
			h.skip(n)
			off += n
			looked = false
		case rest <= tlsBlockMax:
			h.blocks(c, off, len(c))
			return
		case looked || h.tally > 0:
			// Two looks close to each other: small packets, and so it will go on,
			// in the next records, too.
			if looked {
				h.tally = tlsDense
			} else {
				h.tally--
			}
			h.whole(c, func(p []byte) { h.give(p[off:]) })
			return
		default:
			end := (off &^ 15) + tlsChunk
			h.blocks(c, off, end)
			off, looked = end, true
		}
	}
}

// blocks feeds the sink c[from:to], at most tlsBlockMax bytes.
func (h *tlsHalf) blocks(c []byte, from, to int) {
	p := h.t.scratch.small[:to-from]
	h.epoch.keys.xor(h.t.scratch, p, c[from:to], from)
	h.give(p)
	clear(p) // it may be the head of a credential
}

// whole decrypts c, all of it, and calls f with the plaintext.
func (h *tlsHalf) whole(c []byte, f func(p []byte)) {
	buf := tlsRecords.Get().(*tlsRecord)
	p := h.epoch.keys.bulk(h.t.scratch, buf[:], c)
	f(p)
	clear(p)
	tlsRecords.Put(buf)
}

// once is whole for a record that is not data. Of them there are few, and what
// makes bulk fast takes another kilobyte for as long as the connection lives: two
// session tickets would do that.
func (h *tlsHalf) once(c []byte, f func(p []byte)) {
	buf := tlsRecords.Get().(*tlsRecord)
	p := buf[:len(c)]
	h.epoch.keys.xor(h.t.scratch, p, c, 0)
	f(p)
	clear(p)
	tlsRecords.Put(buf)
}

// give feeds the sink, and the next one if the sink's part ends.
func (h *tlsHalf) give(p []byte) {
	for len(p) > 0 && (h.framing == tlsRaw || h.framing == tlsFramed && !h.t.opaque()) {
		before := h.switches
		h.inSink = true
		n := h.sink.Feed(p)
		h.inSink = false
		p = p[n:]
		h.exchange(len(p) > 0)
		if n == 0 && h.switches == before {
			h.framing = tlsLost // or this would go on for ever
			h.t.fail("the sink of the " + h.side.String() + " takes nothing")
		}
	}
}

func (h *tlsHalf) skip(n int) {
	h.inSink = true
	h.sink.Skip(n)
	h.inSink = false
	h.exchange(false)
}

func (h *tlsHalf) setSink(s Sink) {
	h.setLater(s, h.held())
	if !h.inSink {
		h.exchange(false)
	}
}

// exchange puts the next sink, if there is one, in the place of the present
// one, unless that still has something to skip.
func (h *tlsHalf) exchange(early bool) {
	next := h.next()
	if next == nil {
		return
	}
	if !early {
		if skip, _ := h.sink.Wants(); skip > 0 {
			return
		}
	}
	h.sink = next
	h.setLater(nil, h.held())
	h.switches++
}
