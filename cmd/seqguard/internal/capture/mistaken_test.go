package capture_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
)

// TestMistakenFiles: what people give in the place of a capture, and what they are told.
func TestMistakenFiles(t *testing.T) {
	pack := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(s))
		_ = z.Close()
		return b.String()
	}
	const header = "\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00"
	for name, c := range map[string]struct{ file, says string }{
		"empty":           {"", "it is empty"},
		"three bytes":     {"\xd4\xc3\xb2", "it has 3 bytes"},
		"a cut header":    {header, "ends within its header"},
		"802.11":          {header + "\x69\x00\x00\x00", "link type 105, which is not read: capture on"},
		"text of tcpdump": {"13:38:56.454 IP db.3306 > app.50000", `begins with "13:3". What tcpdump prints`},
		"bytes":           {"\x7fELF\x02", "it begins with 7f 45 4c 46"},
		"zstd":            {"\x28\xb5\x2f\xfd\x00\x00", "packed with zstd"},
		"xz":              {"\xfd7zXZ\x00", "packed with xz: unpack it first (xz -dc FILE"},
		"bzip2":           {"BZh91AY", "packed with bzip2"},
		"zip":             {"PK\x03\x04\x14", "packed with zip"},
		"empty, packed":   {pack(""), "in the gzip file: no capture: it is empty"},
		"text, packed":    {pack("hello"), `begins with "hell"`},
		"packed twice":    {pack(pack(header)), "it begins with 1f 8b"},
	} {
		_, err := capture.NewReader(strings.NewReader(c.file))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIs: what -html must not write over.
func TestIs(t *testing.T) {
	for file, want := range map[string]bool{
		"": false, "<!doctype html>": false, "\x0a\x0d\x0d\x0a\x1c": true, "\xd4\xc3\xb2\xa1\x02": true, "\xa1\xb2\x3c\x4d\x00": true, "\x1f\x8b\x08\x00": true, "\x1f": false,
	} {
		if got := capture.Is(strings.NewReader(file)); got != want {
			t.Errorf("%q: %t", file, got)
		}
	}
}

// TestLinkTypeNotRead: a frame that only looks like IP is not taken for it.
func TestLinkTypeNotRead(t *testing.T) {
	var s capture.Segment
	for _, link := range []capture.LinkType{9, 105, 249} {
		f := capture.Frame{Link: link, Data: append([]byte{0x45, 9: 6, 19: 0}, make([]byte, 40)...)}
		if got := f.Segment(&s); got != capture.NotRead {
			t.Errorf("link type %d: %v", link, got)
		}
	}
}
