package conversation

import (
	"github.com/seqguard/mysql-seqguard/internal/wire"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// compLayer is the compression layer of a conversation.
type compLayer struct {
	server, client       wire.Inflater
	clientDir, serverDir compDirection

	next     uint8 // outer id due next, from whichever side speaks
	ahead    bool  // the client's frames are those of a command that is sent ahead
	fresh    bool  // the server's next frame begins the answer to a command that was sent ahead
	acks     bool  // a replica acknowledges: the server's frames begin anew behind each acknowledgement
	wrong    bool  // the last frame of the server had another one
	got      uint8
	reported bool
}

type compDirection struct {
	c   *Conversation
	dir session.Direction
}

// startCompression puts the compression layer under the packets if the sides
// agreed on it: it begins behind the OK that ends the login.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html
func (c *Conversation) startCompression() {
	switch {
	case c.tracker.Zstd():
		c.hide("zstd compression")
		return
	case !c.tracker.Compressed():
		return
	}
	c.compress()
	c.server.frames.r.Stop()
	if c.tls != nil {
		c.tls.view.SetSink(wire.TLSServer, &c.comp.server)
		c.tls.view.SetSink(wire.TLSClient, &c.comp.client)
	}
}

// compress makes the layer, anew if there is one.
func (c *Conversation) compress() {
	v := &compLayer{}
	v.serverDir = compDirection{c: c, dir: session.FromServer}
	v.clientDir = compDirection{c: c, dir: session.FromClient}
	v.server.Init(&c.server.frames.r, &v.serverDir)
	v.client.Init(&c.client.frames.r, &v.clientDir)
	c.comp = v
	c.tracker.Lenient()
}

func (v *compLayer) of(dir session.Direction) *wire.Inflater {
	if dir == session.FromClient {
		return &v.client
	}
	return &v.server
}

// Frame implements wire.FrameHandler: it counts the outer ids. As with packets,
// they start at 0 with each command and go on across both directions. A command
// that is sent ahead has a count of its own, which its answer goes on with.
func (d *compDirection) Frame(h wire.FrameHeader) {
	v := d.c.comp
	if d.dir == session.FromClient {
		begins := d.c.client.frames.missing() == 0 && !d.c.tracker.Continued(session.FromClient)
		phase := d.c.tracker.Phase()
		switch {
		case phase == session.PhaseReady, phase == session.PhaseClone: // of which the end is not known before the packet is
			v.next, v.fresh, v.ahead, v.acks = 0, false, false, false
		case !begins: // a long command, or a file
			if v.ahead {
				return
			}
		case phase.Answering() && phase != session.PhaseLocalInfile:
			v.ahead, v.acks = true, v.acks || phase == session.PhaseEvents
			return
		default:
			v.ahead = false
		}
	} else if v.fresh || v.acks || d.c.tracker.Phase() == session.PhaseClone { // all frames of a clone have 0, as its packets have
		v.next, v.fresh = h.Seq, false
	}
	// Behind lost bytes nothing is known to be due.
	v.wrong = d.dir == session.FromServer && h.Seq != v.next && d.c.tracker.Phase() != session.PhaseUntracked
	v.got = h.Seq
	if !v.wrong {
		v.next = h.Seq
	}
	v.next++
}

// outerSequence reports the wrong id of a frame of the server, now that it is
// known what is inside: an ERR that the server said before it had read
// everything has a lower one, and is no fault. Clients do not check the ids, so
// the connection stays in use.
func (c *Conversation) outerSequence(ev session.Event, phase session.Phase) {
	v := c.comp
	due := v.next - 1
	v.wrong, v.next = false, v.got+1
	if ev.Kind == session.KindERR || ev.Violation == session.Unsolicited || v.reported {
		return // a packet that nobody asked for is worse, and told as that
	}
	v.reported = true
	c.find(finding{
		violation: session.SequenceMismatch, phase: phase, dir: session.FromServer, kind: ev.Kind,
		expected: due, actual: v.got, command: c.tracker.Command(), survived: true,
	})
}

// Corrupt implements wire.FrameHandler.
func (d *compDirection) Corrupt(k wire.Corruption) {
	c := d.c
	if c.x.lossy() { // it may be where a frame was taken to begin
		c.lose()
		return
	}
	c.find(finding{
		violation: session.Malformed, phase: c.tracker.Phase(), dir: d.dir, command: c.tracker.Command(),
		corruption: k.String(),
	})
	c.hide("corrupt compressed frame: " + k.String())
}
