package explain

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// within fails the test if f does not return: it waits for something that never comes.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not return")
	}
}

// TestInterrupted: a signal ends it while it waits for the next frame, or for the first
// one, and what is known by then is told.
func TestInterrupted(t *testing.T) {
	s := newScript(t, 3306, atClient)
	s.login()
	s.selectRows(3)
	for _, file := range [][]byte{s.file(nil), nil} {
		in, w := io.Pipe() // nobody closes it
		r, out := io.Pipe()
		ctx, stop := context.WithCancel(t.Context())
		var err error
		var said strings.Builder
		go func() {
			_, err = Run(ctx, in, out, Options{Live: true, Packets: true})
			_ = out.Close()
		}()
		if file != nil {
			go func() { _, _ = w.Write(file) }()
		} else {
			stop()
		}
		within(t, func() {
			for lines := bufio.NewScanner(r); lines.Scan(); {
				if said.WriteString(lines.Text() + "\n"); strings.Contains(lines.Text(), "rows × 3") {
					stop() // it waits for the next frame now
				}
			}
		})
		stop()
		if file != nil && (err != nil || !strings.Contains(said.String(), "1 connection of MySQL")) {
			t.Errorf("%v\n%s", err, &said)
		}
		if file == nil && (err == nil || !strings.Contains(err.Error(), "before the capture began")) {
			t.Error(err)
		}
		_ = w.Close()
	}
}

// TestDamaged: what lies before the damage is told, and that there is some.
func TestDamaged(t *testing.T) {
	s := newScript(t, 3306, atClient)
	s.login()
	s.quit()
	file := append(s.file(nil), bytes.Repeat([]byte{0xff}, 64)...)
	var out bytes.Buffer
	_, err := Run(context.Background(), bytes.NewReader(file), &out, Options{})
	if err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "1 connection of MySQL") {
		t.Errorf("nothing is told of what was read:\n%s", &out)
	}
}

// TestPageThatCannotBeWritten: that is known at once, not when hours of capture have
// been read.
func TestPageThatCannotBeWritten(t *testing.T) {
	head := newScript(t, 3306, atClient).file(func(int) bool { return false })
	in, w := io.Pipe() // nobody writes the rest
	go func() { _, _ = w.Write(head) }()
	within(t, func() {
		_, err := Run(context.Background(), in, io.Discard, Options{HTML: filepath.Join(t.TempDir(), "no", "page.html")})
		if err == nil || !strings.Contains(err.Error(), "page.html") {
			t.Error(err)
		}
	})
	_ = w.Close()
}

// TestNothingFound: a capture without MySQL says what may be the reason.
func TestNothingFound(t *testing.T) {
	s := newScript(t, 3399, atClient)
	s.frames, s.times = s.frames[:0], s.times[:0] // it begins in the middle
	for range 3 {
		s.say(server, bytes.Repeat([]byte("x"), 900))
	}
	s.frames, s.times = append(s.frames, []byte("no frame of the Internet")), append(s.times, s.at)
	_, out := explained(t, s.file(nil), Options{})
	for _, want := range []string{"-port", "1 frame is not TCP"} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
	found := newScript(t, 3306, atClient)
	found.login()
	if _, out := explained(t, found.file(nil), Options{}); strings.Contains(out, "-port") {
		t.Errorf("it doubts:\n%s", out)
	}
}

// TestSecretsThatComeLate: of a capture that is going on, the key log is read as it
// grows.
func TestSecretsThatComeLate(t *testing.T) {
	s := newScript(t, 3306, atClient)
	hello, keys := s.tls()
	file := s.file(nil)
	early := s.file(func(i int) bool { return i < hello })
	name := filepath.Join(t.TempDir(), "keys")
	in, w := io.Pipe()
	r, out := io.Pipe()
	go func() {
		_, err := Run(context.Background(), in, out, Options{Live: true, KeyLog: name, Packets: true})
		_ = out.CloseWithError(err)
	}()
	go func() {
		_, _ = w.Write(early)
		write(t, name, keys)
		_, _ = w.Write(file[len(early):])
		_ = w.Close()
	}()
	var said bytes.Buffer
	within(t, func() {
		if _, err := io.Copy(&said, r); err != nil {
			t.Error(err)
		}
	})
	if !strings.Contains(said.String(), "COM_PING") || !strings.Contains(said.String(), "TLS, seen with its secrets") {
		t.Errorf("it is not seen:\n%s", &said)
	}
}
