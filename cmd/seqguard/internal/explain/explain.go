package explain

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/keylog"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/reassemble"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
)

// Options are those of the command.
type Options struct {
	Name    string   // of the capture, a file
	KeyLog  string   // a file
	Ports   []uint16 // taken for MySQL also if the greeting is missing
	Packets bool
	Rows    bool // each row a line of its own
	SQL     bool
	JSON    bool
	HTML    string // a file
	Live    bool   // the capture is going on: what is known is written at once
	Limits  reassemble.Limits

	// OnPacket, if not nil, is told each packet of the conversation with that number.
	OnPacket func(conn int, p conversation.Packet)
}

// Totals are what was in the capture.
type Totals struct {
	Frames, NotTCP, Fragments uint64
	NotRead                   uint64           // frames of link types that are not read
	Link                      capture.LinkType // of the first of them
	CutFrames                 uint64           // not captured whole
	Bytes                     int64
	Connections               int // MySQL
	Others                    int // TCP connections that are not
	Packets                   uint64
	Violations                int // told
	Knocks                    int // clients that left at once without a word
	Untracked, Opaque         int // conversations
	Gaps                      uint64
	Lost                      uint64
	First, Last               time.Time
	Encrypted                 bool   // one of those that are opaque is, and no key log was given
	Cut                       bool   // the file ends within a frame
	Damage                    string // what is wrong behind what was read
	Evicted                   uint64 // connections that were dropped while they went on
}

// explainer is a run over one capture.
type explainer struct {
	opts   Options
	out    *bufio.Writer
	table  *reassemble.Table
	keys   keylog.Store
	log    keylog.Tail // of the file that keys come from
	live   map[*conn]struct{}
	hosts  map[[16]byte]cause.Vantage // where the capture was taken, by client
	totals Totals
	tally  tally
	page   *page
	file   *os.File // of the page
	kills  report.Kills
	failed report.Failures
	ended  []*ended // that wait, by time
	format bool     // pcapng: secrets may come with the frames
	err    error    // of the output
	enc    *json.Encoder
}

// Run reads a capture and writes what is in it.
func Run(ctx context.Context, in io.Reader, out io.Writer, o Options) (Totals, error) {
	x := &explainer{
		opts: o, out: bufio.NewWriterSize(out, 64<<10), live: map[*conn]struct{}{},
		hosts: map[[16]byte]cause.Vantage{},
	}
	x.enc = json.NewEncoder(x.out)
	x.tally.init()
	if len(x.opts.Ports) == 0 {
		x.opts.Ports = []uint16{3306}
	}
	if o.HTML != "" {
		x.page = &page{}
	}
	if o.KeyLog != "" {
		err := x.log.Read(o.KeyLog, func(b []byte) { x.keys.Add(b) })
		if err != nil && !(o.Live && errors.Is(err, fs.ErrNotExist)) { // clients make it when they need it
			return x.totals, fmt.Errorf("-keylog: %w", err)
		}
		if !o.Live {
			x.keys.Add([]byte("\n"))
			if x.keys.Len() == 0 {
				return x.totals, fmt.Errorf("-keylog: %s holds no line of a key log", o.KeyLog)
			}
		}
	}
	if o.Live {
		in = newInterruptible(ctx, in)
	}
	r, err := capture.NewReader(in)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("ended before the capture began")
		}
		return x.totals, x.named(err)
	}
	if o.HTML != "" { // at the beginning it is early to know that it cannot be written
		if x.file, err = os.OpenFile(o.HTML, os.O_WRONLY|os.O_CREATE, 0o666); err != nil {
			return x.totals, err
		}
		defer func() { _ = x.file.Close() }()
	}
	r.Secrets = x.secrets
	x.format = r.Sections()
	x.table = reassemble.NewTable(o.Limits)
	x.table.Open = x.open
	x.table.IsServer = x.isServer
	err = x.read(ctx, r)
	x.lookForSecrets()
	x.table.Close()
	x.settleAll()
	x.totals.Bytes, x.totals.Evicted = r.Read(), x.table.Evicted
	if err != nil {
		x.totals.Damage = err.Error()
		err = x.named(err)
	}
	if e := x.finish(); err == nil { // of a damaged capture, what lies before the damage is told
		err = e
	}
	if e := x.out.Flush(); err == nil {
		err = e
	}
	return x.totals, err
}

// named is an error about the capture with its name, unless that is in it already.
func (x *explainer) named(err error) error {
	if x.opts.Name == "" || errors.As(err, new(*fs.PathError)) {
		return err
	}
	return fmt.Errorf("%s: %w", x.opts.Name, err)
}

// read takes all frames. The end of a capture within a frame is no error: that is
// how one ends that was cut off.
func (x *explainer) read(ctx context.Context, r *capture.Reader) error {
	var f capture.Frame
	var s capture.Segment
	t := &x.totals
	for first := true; ; first = false {
		if x.opts.Live && !r.Buffered() {
			x.lookForSecrets()
			if err := x.out.Flush(); err != nil {
				return err
			}
		}
		if err := r.Next(&f); err != nil {
			switch {
			case err == io.EOF:
				return nil
			case errors.Is(err, capture.ErrCut):
				t.Cut = true
				return nil
			}
			return err
		}
		if t.Frames++; t.Frames&1023 == 0 && ctx.Err() != nil {
			return nil
		}
		if first {
			t.First = time.Unix(0, f.Time)
		}
		t.Last = time.Unix(0, f.Time)
		if f.Cut > 0 {
			t.CutFrames++
		}
		x.settle(f.Time)
		switch f.Segment(&s) {
		case capture.IsTCP:
			x.table.Segment(&s, f.Time)
		case capture.IsFragment:
			t.Fragments++
		case capture.NotRead:
			if t.NotRead++; t.NotRead == 1 {
				t.Link = f.Link
			}
		default:
			t.NotTCP++
		}
		if x.opts.Live && !r.Buffered() { // the next frame may be far off
			x.table.Tick(f.Time)
			x.settleAll()
		}
	}
}

func (x *explainer) isServer(port uint16) bool {
	for _, p := range x.opts.Ports {
		if p == port {
			return true
		}
	}
	return false
}

// lookForSecrets takes what clients have written into the key log since the capture
// began.
func (x *explainer) lookForSecrets() {
	if !x.opts.Live || x.opts.KeyLog == "" || len(x.live) == 0 {
		return
	}
	_ = x.log.Read(x.opts.KeyLog, func(b []byte) { x.offer(x.keys.Add(b)) }) // it may come, or come back
}

// secrets came with the capture.
func (x *explainer) secrets(lines []byte) { x.offer(x.keys.Add(append(lines, '\n'))) }

// offer gives connections that were seen before the secrets that they wait for.
func (x *explainer) offer(fresh []keylog.Random) {
	if len(fresh) == 0 {
		return
	}
	known := map[keylog.Random]bool{}
	for _, r := range fresh {
		known[r] = true
	}
	for c := range x.live {
		if r, ok := c.talk.ClientRandom(); ok && known[r] {
			c.talk.Secrets(x.keys.Lines(r), c.since(x.now()))
			c.take()
		}
	}
}

func (x *explainer) now() int64 { return x.totals.Last.UnixNano() }
