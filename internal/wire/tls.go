package wire

import (
	"crypto/tls"
	"fmt"
)

// TLS sees through one TLS connection from outside: it is fed the records of
// both sides and the secrets that crypto/tls writes to a key log, and feeds the
// plaintext to a Sink for each side. It alters nothing and sends nothing.
//
// Records are not authenticated here: crypto/tls, for which the bytes are meant,
// does that and ends the connection if they are not genuine. That leaves AES-GCM
// and ChaCha20-Poly1305 as pure stream ciphers, in which any block can be had
// without the others, so that what a Sink skips is not decrypted.
//
// Any inconsistency makes the connection opaque, for good and with a reason.
//
// A TLS does not lock, like the rest of the package, and its two sides share
// state: all calls must be serialised, WriteKeyLog among them, which crypto/tls
// makes in the middle of a handshake. Bytes from the server are fed before the
// Read that brought them returns, and bytes from the client before they can be
// answered: each side's records are understood by what came before.
//
// Every connection through TLS has one for as long as it lives, so it is kept
// small: what only the handshake needs is behind a pointer.
type TLS struct {
	ev             TLSEvents
	info           TLSInfo
	client, server tlsHalf

	suite   *tlsSuite   // set by the ServerHello if it is one that we know
	secrets *tlsSecrets // nil when they are not needed any more

	// scratch is what decrypting takes; nil between two calls: an idle connection
	// has none.
	scratch *tlsScratch
}

// NewTLS returns a TLS that waits for a ClientHello and a ServerHello. Nothing of
// what it is given may be nil.
func NewTLS(client, server Sink, ev TLSEvents) *TLS {
	t := new(TLS)
	t.Init(client, server, ev)
	return t
}

// Init is NewTLS for a TLS that is part of something else. It must not be copied
// after.
func (t *TLS) Init(client, server Sink, ev TLSEvents) {
	*t = TLS{ev: ev, secrets: new(tlsSecrets)}
	t.client = tlsHalf{t: t, side: TLSClient, sink: client}
	t.server = tlsHalf{t: t, side: TLSServer, sink: server}
}

// Late says that secrets may come after the bytes they are for, from both sides:
// records wait for them then, up to a bound. Without it, those of the client
// must be there when it uses them, as they are from crypto/tls.
func (t *TLS) Late() {
	if t.secrets != nil {
		t.secrets.late = true
	}
}

// Waiting reports whether records wait for secrets. What is fed meanwhile waits
// behind them; what the other side says after that is better not fed before the
// secrets have come, or it is seen out of order.
func (t *TLS) Waiting() bool { return t.client.waiting || t.server.waiting }

// ClientRandom returns the number that names the connection in a key log. It is
// known from the ClientHello until the secrets are not needed any more.
func (t *TLS) ClientRandom() (random [32]byte, known bool) {
	if t.secrets == nil || !t.secrets.hello {
		return random, false
	}
	return t.secrets.clientRandom, true
}

// SetSink chooses who gets the plaintext of a side from now on. Called from
// within the present sink, it takes effect where that sink's Feed returns early,
// or else behind the bytes which the sink would skip: the rest of the packet in
// which it learned that its part of the stream ends.
func (t *TLS) SetSink(from TLSSide, s Sink) { t.half(from).setSink(s) }

// FeedClient takes the next bytes that the client sent.
func (t *TLS) FeedClient(b []byte) { t.feed(&t.client, b) }

// FeedServer takes the next bytes that the server sent.
func (t *TLS) FeedServer(b []byte) { t.feed(&t.server, b) }

func (t *TLS) feed(h *tlsHalf, b []byte) {
	took := t.borrow()
	h.feed(b)
	if took {
		t.giveBack()
	}
}

// borrow takes a scratch, unless the call comes from within another one, which
// has it. If something panics, it is lost with the TLS.
func (t *TLS) borrow() (took bool) {
	if t.scratch != nil {
		return false
	}
	t.scratch = tlsScratches.Get().(*tlsScratch)
	return true
}

func (t *TLS) giveBack() {
	s := t.scratch
	t.scratch = nil
	clear(s.stream[:])
	tlsScratches.Put(s)
}

// Info returns what is known.
func (t *TLS) Info() TLSInfo { return t.info }

// ClientMute reports whether the client has sent no data of its own, which can be
// known where nothing is seen through: of TLS 1.3, whose handshake looks like data,
// only if it sent one record of some size, its Finished.
func (t *TLS) ClientMute() bool {
	switch {
	case t.info.Version == 0 || !t.opaque():
		return false
	case t.is13():
		return t.client.tally <= 1
	}
	return t.client.tally == 0
}

// Format keeps the secrets out of whatever prints a TLS, with any verb.
func (t *TLS) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "TLS(%v)", t.info.State) }

// Zero erases the secrets. The TLS is usable after, but opaque.
//
// What cannot be erased from here is the key schedule inside crypto/aes, of
// which the reference is dropped: like the copies that crypto/tls has of the
// same keys, it is left to the garbage collector.
func (t *TLS) Zero() {
	if t.info.State != TLSOpaque {
		t.info.State, t.info.Reason = TLSOpaque, "the keys were erased"
	}
	t.wipe()
}

// GiveUp makes the connection opaque: by option, or because the secrets are
// known not to come.
func (t *TLS) GiveUp(reason string) { t.fail(reason) }

// fail makes the connection opaque.
func (t *TLS) fail(reason string) {
	if t.info.State == TLSOpaque {
		return
	}
	t.info.State, t.info.Reason = TLSOpaque, reason
	t.client.tally, t.server.tally = 0, 0 // of other records from now on
	t.wipe()
	t.ev.Opaque(reason)
}

func (t *TLS) wipe() {
	t.forget()
	if t.scratch != nil {
		*t.scratch = tlsScratch{}
	}
	t.client.wipe()
	t.server.wipe()
}

func (t *TLS) opaque() bool { return t.info.State == TLSOpaque }

func (t *TLS) half(side TLSSide) *tlsHalf {
	if side == TLSClient {
		return &t.client
	}
	return &t.server
}

// settle notes that the handshake is over once it is, for both sides, and
// forgets the secrets, which are not needed any more.
func (t *TLS) settle() {
	c, s := &t.client, &t.server
	if t.info.State == TLSHandshake && c.visible() && s.visible() {
		t.info.State = TLSVisible
		t.forget()
	}
}

// forget erases the secrets from which traffic keys are derived.
func (t *TLS) forget() {
	if t.secrets != nil {
		*t.secrets = tlsSecrets{}
		t.secrets = nil
	}
}

// helloSeen reports whether the ServerHello has been seen, in the handshake.
func (t *TLS) helloSeen() bool { return t.secrets != nil && t.secrets.answered }

func (t *TLS) is13() bool { return t.info.Version == tls.VersionTLS13 }
