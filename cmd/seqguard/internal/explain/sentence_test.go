package explain

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture/capturetest"
)

// TestWhatIsMissingIsSaid: who reads the end, or the page, learns why there is less in it
// than was hoped for.
func TestWhatIsMissingIsSaid(t *testing.T) {
	frame := capturetest.Frame(capture.LinkEthernet, false, &capture.Segment{Src: addr(1, 50000), Dst: addr(2, 3306), Flags: capture.ACK, Payload: make([]byte, 40)})
	file := func(frames func(w *capturetest.Writer)) []byte {
		var b bytes.Buffer
		w, err := capturetest.NewWriter(&b, capture.LinkEthernet)
		if err != nil {
			t.Fatal(err)
		}
		frames(w)
		return b.Bytes()
	}
	sound := file(func(w *capturetest.Writer) { _ = w.Write(1e18, frame, 0) })
	for name, c := range map[string]struct {
		file []byte
		says string
		not  string
	}{
		"no frame": {file(func(*capturetest.Writer) {}), "There is no frame in it: nothing was captured.", "greeting"},
		"cut frames": {file(func(w *capturetest.Writer) {
			_ = w.Write(1e18, frame, 30)
			_ = w.Write(1e18, frame, 1)
			_ = w.Write(1e18, frame, 0)
		}),
			"2 frames are not captured whole", "not TCP"},
		"not TCP":        {file(func(w *capturetest.Writer) { _ = w.Write(1e18, make([]byte, 60), 0) }), "1 frame is not TCP.", "link type"},
		"a damaged file": {append(sound[:len(sound):len(sound)], bytes.Repeat([]byte{0xff}, 64)...), "What follows was not read: a frame of 4294967295 bytes at byte", "no frame"},
	} {
		page := filepath.Join(t.TempDir(), "page.html")
		for _, o := range []Options{{}, {HTML: page}} {
			var out bytes.Buffer
			_, err := Run(context.Background(), bytes.NewReader(c.file), &out, o)
			text := out.String()
			if o.HTML != "" {
				b, _ := os.ReadFile(page)
				text = string(b)
			}
			if (err != nil) != strings.Contains(c.says, "not read") || !strings.Contains(text, c.says) || strings.Contains(text, c.not) {
				t.Errorf("%s: %v\n%s", name, err, text)
			}
		}
	}
	total := Totals{Frames: 3, NotRead: 3, Link: 105}
	if s := total.sentence(); !strings.Contains(s, "3 frames are of a link type that is not read (105).") {
		t.Error(s)
	}
}
