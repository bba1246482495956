// Package conversations reads and writes conversations between real servers and go-sql-driver, for tests that replay them. The files lie
// in test/wire/testdata/conversations, and the tests of test/wire record them.
//
// A file has a line for each Read (<) and Write (>) of the client, and for the end of the server's bytes (!): bytes in hex, and
// "61*9" for a byte that is repeated. Behind the line "=" stands what a connection makes of it: its history, without times.
package conversations

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Event is one Read or Write of a client, or the end of the server's bytes.
type Event struct {
	Client bool
	End    bool
	Bytes  []byte
}

// Conversation is what a file holds.
type Conversation struct {
	Name    string
	Events  []Event
	History string
}

// Total is how many bytes went over the wire.
func (c *Conversation) Total() (n int) {
	for _, e := range c.Events {
		n += len(e.Bytes)
	}
	return n
}

// All reads the conversations of a folder.
func All(t testing.TB, dir string) (all []Conversation) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d conversations in %s, %v", len(files), dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bytes, history, _ := strings.Cut(string(text), "=\n")
		c := Conversation{Name: strings.TrimSuffix(filepath.Base(file), ".txt"), History: history}
		if c.Events, err = Parse(bytes); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, c)
	}
	return all
}

// shortest is how many repetitions are written as such.
const shortest = 16

func encode(b []byte) string {
	var out []string
	for plain := []byte(nil); ; {
		n := 0
		for n < len(b) && b[n] == b[0] {
			n++
		}
		if len(b) > 0 && n < shortest {
			plain, b = append(plain, b[:n]...), b[n:]
			continue
		}
		if len(plain) > 0 {
			out, plain = append(out, hex.EncodeToString(plain)), nil
		}
		if len(b) == 0 {
			return strings.Join(out, " ")
		}
		out, b = append(out, fmt.Sprintf("%02x*%d", b[0], n)), b[n:]
	}
}

func decode(s string) ([]byte, error) {
	var b []byte
	for _, w := range strings.Fields(s) {
		digits, count, repeated := strings.Cut(w, "*")
		piece, err := hex.DecodeString(digits)
		if err != nil {
			return nil, err
		}
		if repeated {
			n, err := strconv.Atoi(count)
			if err != nil || n > 1<<25 {
				return nil, fmt.Errorf("%q is no number of repetitions", count)
			}
			piece = bytes.Repeat(piece, n)
		}
		b = append(b, piece...)
	}
	return b, nil
}

// Parse reads the events of a file. A line that begins with # is a comment.
func Parse(text string) (out []Event, err error) {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		if mark == "#" {
			continue
		}
		b, err := decode(rest)
		if mark != "<" && mark != ">" && mark != "!" {
			err = errors.Join(err, errors.New("no mark"))
		}
		if err != nil {
			return nil, fmt.Errorf("%.60q: %w", line, err)
		}
		out = append(out, Event{Client: mark == ">", End: mark == "!", Bytes: b})
	}
	return out, nil
}

// Format is the text of events.
func Format(events []Event) string {
	var out strings.Builder
	for _, e := range events {
		switch {
		case e.End:
			out.WriteString("!\n")
		case e.Client:
			fmt.Fprintf(&out, "> %s\n", encode(e.Bytes))
		default:
			fmt.Fprintf(&out, "< %s\n", encode(e.Bytes))
		}
	}
	return out.String()
}
