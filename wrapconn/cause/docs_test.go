package cause

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocs holds docs/causes.md against the table: the same causes in the same
// order, with the same titles and severities, in the index and in the sections.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/causes.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := strings.ReplaceAll(string(page), "\r\n", "\n")
	var index, sections []string
	for _, r := range rules {
		index = append(index, fmt.Sprintf("- [%s](#%s): %s", r.slug, r.slug, r.title))
		sections = append(sections, fmt.Sprintf("### %s\n\n**%s** · severity `%s`\n", r.slug, r.title, r.severity))
	}
	same(t, "index", regexp.MustCompile(`(?m)^- \[.*$`).FindAllString(doc, -1), index)
	same(t, "sections", regexp.MustCompile(`(?m)^### .*\n\n.*\n`).FindAllString(doc, -1), sections)

	for _, s := range strings.Split(doc, "\n### ")[1:] {
		slug, _, _ := strings.Cut(s, "\n")
		wants := []string{"*What you see.* ", "*What happened.* ", "*How we know.* ", "*From a proxy, in a capture.* ", "| direction | # | packet |", "*What to do.* ", "*Run now.* "}
		if Slug(slug) == Undetermined {
			wants = []string{"*What happened.* ", "*From a proxy, in a capture.* ", "*What to do.* ", "*Run now.* "}
		}
		at := 0
		for _, want := range wants {
			i := strings.Index(s[at:], want)
			if i < 0 {
				t.Errorf("%s: no %q, or not in this place", slug, want)
				continue
			}
			at += i
		}
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(s, -1) {
			if strings.HasSuffix(m[1], "_on_the_way") || strings.HasPrefix(m[1], "login_") {
				if !slices.Contains(Slugs(), Slug(m[1])) {
					t.Errorf("%s speaks of %s, which is no cause", slug, m[1])
				}
			}
		}
	}
	if got, want := DocURL("not_mysql"), "https://github.com/seqguard/mysql-seqguard/blob/main/docs/causes.md#not_mysql"; got != want {
		t.Error(got)
	}
}

func same(t *testing.T, what string, page, table []string) {
	t.Helper()
	for i := range max(len(page), len(table)) {
		var p, q string
		if i < len(page) {
			p = page[i]
		}
		if i < len(table) {
			q = table[i]
		}
		if p != q {
			t.Fatalf("%s, entry %d:\npage:  %q\ntable: %q", what, i, p, q)
		}
	}
}

func TestTable(t *testing.T) {
	seen := map[Slug]bool{}
	slug := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for i, r := range rules {
		if seen[r.slug] || !slug.MatchString(string(r.slug)) {
			t.Errorf("slug %q", r.slug)
		}
		seen[r.slug] = true
		if last := i == len(rules)-1; last != (r.slug == Undetermined) || last != (len(r.signs) == 0) {
			t.Errorf("%s: place %d, %d signs", r.slug, i, len(r.signs))
		}
		if r.title == "" || strings.HasSuffix(r.title, ".") {
			t.Errorf("%s: title %q", r.slug, r.title)
		}
	}
}
