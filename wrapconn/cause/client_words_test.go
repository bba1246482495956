package cause

import (
	"slices"
	"strings"
	"testing"
)

// wordsOfGo mean nothing to whoever looks after a program in another language.
var wordsOfGo = []string{"DSN", "SetConn", "SetMax", "*sql.", "sql.Conn", "two goroutines", "GOMAXPROCS", "maxAllowedPacket", "readTimeout", "interpolateParams", "multiStatements",
	"compress=true", "MinVersion", "tls.Config", "context's deadline", "this process"}

// TestWordsForOtherClients: what is said of a client in another language has no word
// of Go's.
func TestWordsForOtherClients(t *testing.T) {
	said := map[string]bool{}
	for _, c := range slices.Concat(cases, faultCases) {
		e := c.e
		if e.Ownership != OwnershipNone || e.standing() || e.Abandoned != NotAbandoned || e.Late || e.NothingDue > 0 || e.Forked {
			continue // only this process knows that of itself
		}
		if e.Stream == StreamTimeout || e.DialTook > 0 {
			continue // a limit of the client's own, and its dial
		}
		e.Client, e.Vantage = Client{Name: "pymysql", Version: "1.0.2", Address: "10.0.0.7:4711", User: "shop"}, VantageProxy
		e.Pinned, e.TxBegun, e.Watched = false, false, false
		d := Diagnose(&e)
		for _, w := range wordsOfGo {
			if text := d.Explanation + " " + d.Advice + " " + d.Do; strings.Contains(text, w) && !said[string(d.Slug)+w] {
				said[string(d.Slug)+w] = true
				t.Errorf("%s (%s) says %q: %s", d.Slug, c.name, w, text)
			}
		}
	}
}
