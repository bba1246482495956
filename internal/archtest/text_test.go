package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mostInParagraph is how many characters a paragraph or an item of docs/causes.md may have: somebody on call looks for one line in it.
const mostInParagraph = 420

var blocks = regexp.MustCompile(`\n\n|\n[ \t]*- `)

// TestCausesIsReadable holds docs/causes.md to short paragraphs.
func TestCausesIsReadable(t *testing.T) {
	text, err := os.ReadFile("../../docs/causes.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := blocks.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), -1)
	if len(parts) < 300 {
		t.Fatalf("%d paragraphs: has their form changed?", len(parts))
	}
	for _, p := range parts {
		if n := len([]rune(p)); n > mostInParagraph && !strings.HasPrefix(p, "|") {
			t.Errorf("%d characters: %s", n, p)
		}
	}
}

// Words for users are the field's: a connection is in use by an operation, an answer is cut off. A machine's own folders are nobody else's.
var unwanted = regexp.MustCompile(`(?i)\b(?:himself|herself|truncated)\b|(?:^|[\s("` + "`" + `])/(?:root|home)/`)

// TestWordsOfPages looks for such words in the pages.
func TestWordsOfPages(t *testing.T) {
	const root = "../.."
	pages := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "FIPS140.md", "CHANGELOG.md", "example/README.md"}
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(docs) < 10 {
		t.Fatalf("%d pages in docs, %v", len(docs), err)
	}
	for _, d := range docs {
		pages = append(pages, filepath.Join("docs", filepath.Base(d)))
	}
	for _, p := range pages {
		text, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if m := unwanted.FindString(line); m != "" {
				t.Errorf("%s:%d has %q", p, i+1, m)
			}
		}
	}
}

// TestNoEmptyFiles: an empty file is what a redirection has left behind.
func TestNoEmptyFiles(t *testing.T) {
	const root = "../.."
	files := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		files++
		info, err := d.Info()
		if err == nil && info.Size() == 0 {
			t.Errorf("%s is empty", path)
		}
		return err
	})
	if err != nil || files < 500 {
		t.Fatalf("%d files, %v", files, err)
	}
}
