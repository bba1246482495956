package cause

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// oneAndTwo returns the causes that show "got 1 expected 2" in a login: what
// Diagnose makes of an ERR numbered 1 where 2 is due. Words that are about
// something else than a login (a farewell, a command) have those names there, too.
func oneAndTwo() []Slug {
	elsewhere := slices.Concat(farewellCodes, []uint16{erPacketTooLarge, erUncompress, erWriteInterrupted})
	met := map[Slug]bool{}
	codes := slices.AppendSeq([]uint16{1, 9001}, maps.Keys(codeNames))
	for _, code := range codes {
		if slices.Contains(elsewhere, code) {
			continue
		}
		for _, words := range []string{"words", "Failed to parse proxy header"} {
			for _, pause := range []time.Duration{time.Millisecond, 11 * time.Second} {
				for _, since := range []time.Duration{time.Millisecond, 10 * time.Second} {
					for _, ours := range []bool{false, true} {
						e := with(login(code, 2, 1, pause, since), func(e *Evidence) { e.ServerError.Message, e.Misnumbered = words, ours })
						met[Diagnose(&e).Slug] = true
					}
				}
			}
		}
	}
	delete(met, Undetermined)
	return slices.Sorted(maps.Keys(met))
}

// TestOneAndTwo: the pages say how many causes show the numbers of this project's
// first question, and they all say the same.
func TestOneAndTwo(t *testing.T) {
	causes := oneAndTwo()
	words := []string{"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen"}
	want := words[len(causes)] + " causes"
	t.Logf("%d: %v", len(causes), causes)
	said := regexp.MustCompile(`(?i)\b(?:at least )?(?:` + strings.Join(words, "|") + `|[0-9]+) causes\b`)
	for _, page := range []string{"README.md", "docs/causes.md", "wrapconn/cause/doc.go"} {
		b, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		// A paragraph that has the numbers has the count.
		found := 0
		for _, p := range strings.Split(string(b), "\n\n") {
			p = strings.Join(strings.Fields(strings.ReplaceAll(p, "\n//", " ")), " ")
			if !strings.Contains(p, "got 1 expected 2") {
				continue
			}
			for _, m := range said.FindAllString(p, -1) {
				if strings.ToLower(m) != want {
					t.Errorf("%s says %q, want %q: %s", page, m, want, p)
				}
				found++
			}
		}
		if found == 0 {
			t.Errorf("%s does not say how many causes show these numbers (%s)", page, want)
		}
	}
	doc, err := os.ReadFile("../../docs/causes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(doc), "Which they are: ")
	list, _, _ = strings.Cut(list, "\n\n")
	var listed []Slug
	for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(list, -1) {
		listed = append(listed, Slug(m[1]))
	}
	slices.Sort(listed)
	if fmt.Sprint(listed) != fmt.Sprint(causes) {
		t.Errorf("docs/causes.md lists %v, want %v", listed, causes)
	}
}
