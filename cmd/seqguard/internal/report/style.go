package report

import _ "embed"

// Style is the style sheet of the pages: light and dark, without script.
//
//go:embed style.css
var Style string
