package reassemble

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
)

const (
	ack = capture.ACK
	rst = capture.RST
)

// A capture may have a reset in front of what was sent before it.
func TestResetInFrontOfBytes(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    func(k *talk) // after a question and its answer
		order  []int         // of the segments of end, in the capture
		client string
		ends   [2][]End
	}{
		{"client's, its own bytes", func(k *talk) {
			k.send(Client, ack, []byte("quit"))
			k.send(Client, ack|rst, nil)
		}, []int{1, 0}, "quit", [2][]End{{EndReset}, nil}},
		{"client's, its own bytes in pieces", func(k *talk) {
			k.send(Client, ack, []byte("qu"))
			k.send(Client, ack, []byte("it"))
			k.send(Client, ack|rst, nil)
		}, []int{2, 1, 0}, "quit", [2][]End{{EndReset}, nil}},
		{"server's, bytes that it had", func(k *talk) {
			k.send(Client, ack, []byte("quit"))
			k.send(Server, ack|rst, nil)
		}, []int{1, 0}, "quit", [2][]End{nil, {EndReset}}},
		{"server's, of which nothing says what it had", func(k *talk) {
			k.send(Client, ack, []byte("quit"))
			k.send(Server, rst, nil)
		}, []int{1, 0}, "quit", [2][]End{nil, {EndReset}}},
		{"server's, bytes behind its FIN", func(k *talk) {
			k.send(Server, ack|capture.FIN, nil)
			k.send(Client, ack, []byte("quit"))
			k.send(Server, rst, nil)
		}, []int{0, 2, 1}, "quit", [2][]End{nil, {EndFIN}}},
		{"and everything else in disorder", func(k *talk) {
			k.send(Server, ack|capture.FIN, nil)
			k.send(Client, ack, []byte("quit"))
			k.send(Client, ack|capture.FIN, nil)
			k.send(Server, rst, nil)
		}, []int{3, 2, 1, 0}, "quit", [2][]End{{EndFIN}, {EndFIN}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newTalk(4294967290) // the numbers pass zero
			k.send(Client, ack, []byte("question"))
			k.send(Server, ack, []byte("answer"))
			n := len(k.segments)
			c.end(k)
			s := append([]capture.Segment(nil), k.segments[:n]...)
			for _, i := range c.order {
				s = append(s, k.segments[n+i])
			}
			l, _, _ := run(t, Limits{}, s, k.times)
			if got := string(l.got[Client]); got != "question"+c.client || string(l.got[Server]) != "answer" || l.gaps != [2]int64{} {
				t.Errorf("%q %q, %d in gaps", got, l.got[Server], l.gaps)
			}
			if fmt.Sprint(l.ends) != fmt.Sprint(c.ends) {
				t.Errorf("ends %v, want %v", l.ends, c.ends)
			}
		})
	}
}

// TestDisorderBeforeReset is TestDisorder for connections that are reset.
func TestDisorderBeforeReset(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 4))
		k := newTalk(r.Uint32())
		var said [2][]byte
		for range 4 {
			for _, side := range []Side{Client, Server} {
				p := bytes.Repeat([]byte{byte(r.IntN(256))}, 1+r.IntN(6000))
				said[side] = append(said[side], p...)
				k.say(r, side, p)
			}
		}
		from := Side(r.IntN(2))
		k.send(from, []uint8{rst, rst | ack}[r.IntN(2)], nil)
		s := append([]capture.Segment(nil), k.segments...)
		for i := 3; i < len(s); i++ {
			if r.IntN(4) == 0 {
				j := min(len(s)-1, i+1+r.IntN(12))
				s[i], s[j] = s[j], s[i]
			}
		}
		l, _, _ := run(t, Limits{}, s, k.times)
		for _, side := range []Side{Client, Server} {
			if !bytes.Equal(l.got[side], said[side]) || l.gaps[side] != 0 {
				t.Fatalf("seed %d: side %d: %d bytes, want %d; %d in gaps", seed, side, len(l.got[side]), len(said[side]), l.gaps[side])
			}
		}
		if fmt.Sprint(l.ends[from]) != fmt.Sprint([]End{EndReset}) || len(l.ends[from.Other()]) != 0 {
			t.Fatalf("seed %d: ends %v", seed, l.ends)
		}
	}
}

// TestResetIsTold: at once if nothing is missing, else when what is missing would
// have come, with its own time, whichever connection the next frame is of.
func TestResetIsTold(t *testing.T) {
	talkTo := func(flags uint8, lose bool) (*Table, *log, *talk) {
		l, tab := &log{t: t}, NewTable(Limits{})
		tab.Open = func(f *Flow, _ int64) Handler {
			if f.Ends[Client].Port == 50000 {
				return l
			}
			return nil
		}
		k := newTalk(7)
		k.send(Client, ack, []byte("question"))
		k.send(Client, flags, nil)
		for i, s := range k.segments {
			if !lose || len(s.Payload) == 0 {
				tab.Segment(&s, k.times[i])
			}
		}
		return tab, l, k
	}
	other := newTalk(9)
	other.client.Port = 50001
	other.send(Client, ack, []byte("hello"))
	foreign := other.segments[len(other.segments)-1]

	_, l, _ := talkTo(ack|rst, false)
	if l.gone != 1 || len(l.ends[Client]) != 1 || string(l.got[Client]) != "question" {
		t.Errorf("nothing is missing: %v, gone %d, %q", l.ends, l.gone, l.got[Client])
	}

	tab, l, k := talkTo(ack|rst, true)
	tab.Segment(&foreign, k.at+grace-1)
	tab.Tick(k.at + grace - 1)
	if l.gone != 0 || len(l.ends[Client]) != 0 {
		t.Errorf("bytes are missing: %v, gone %d", l.ends, l.gone)
	}
	tab.Segment(&foreign, k.at+grace)
	if l.gone != 1 || len(l.ends[Client]) != 1 || string(l.got[Client]) != "????????" || l.last != k.at {
		t.Errorf("bytes are missing: %v, gone %d, %q, at %d of %d", l.ends, l.gone, l.got[Client], l.last, k.at)
	}

	tab, l, k = talkTo(rst, false)
	if l.gone != 0 {
		t.Errorf("nothing says whether bytes are missing: gone %d", l.gone)
	}
	tab.Tick(k.at) // no more frames lie ready
	if l.gone != 1 || len(l.ends[Client]) != 1 {
		t.Errorf("nothing says whether bytes are missing: %v, gone %d", l.ends, l.gone)
	}

	// A new connection between the same ports begins behind the reset.
	tab, l, k = talkTo(rst, false)
	again := newTalk(900000)
	tab.Open = func(*Flow, int64) Handler { return &log{t: t} }
	tab.Segment(&again.segments[0], k.at+1)
	if l.gone != 1 || len(l.ends[Client]) != 1 {
		t.Errorf("the port is used again: %v, gone %d", l.ends, l.gone)
	}
}

// TestResetsAreBounded: a capture in which no time passes.
func TestResetsAreBounded(t *testing.T) {
	tab, gone := NewTable(Limits{}), 0
	var logs []*log
	tab.Open = func(*Flow, int64) Handler {
		logs = append(logs, &log{t: t})
		return logs[len(logs)-1]
	}
	const n = 3 * maxResets
	for i := range n {
		k := newTalk(uint32(i))
		k.client.Port = uint16(10000 + i)
		k.segments = k.segments[:0]
		k.send(Client, capture.SYN, nil)
		k.send(Client, rst, nil)
		for _, s := range k.segments {
			tab.Segment(&s, 1e9)
		}
		if len(tab.resets) > maxResets {
			t.Fatalf("%d wait", len(tab.resets))
		}
	}
	for _, l := range logs {
		gone += l.gone
	}
	if len(logs) != n || gone != n-maxResets {
		t.Errorf("%d connections, %d of them gone", len(logs), gone)
	}
	tab.Close()
	for i, l := range logs {
		if l.gone != 1 || len(l.ends[Client]) != 1 {
			t.Fatalf("connection %d: gone %d, ends %v", i, l.gone, l.ends)
		}
	}
}
