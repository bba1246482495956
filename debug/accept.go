package debug

import (
	"mime"
	"strconv"
	"strings"
)

// prefersJSON reports whether an Accept header names application/json and wants
// it more than a page. A header that takes everything gets the page, as a
// browser does. RFC 9110 section 12.5.1.
func prefersJSON(accept []string) bool {
	var asJSON, asHTML float64
	var firstIsJSON bool
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil {
				continue
			}
		}
		switch kind {
		case "application/json":
			asJSON = q
			firstIsJSON = asHTML == 0
		case "text/html", "application/xhtml+xml":
			asHTML = max(asHTML, q)
		}
	}
	return asJSON > asHTML || asJSON > 0 && asJSON == asHTML && firstIsJSON
}
