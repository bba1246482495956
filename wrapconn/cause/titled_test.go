package cause

import (
	"strings"
	"testing"
	"time"
)

// TestTitleOfTheCommandBefore: a small statement behind ERR 1153 is not called large.
func TestTitleOfTheCommandBefore(t *testing.T) {
	refused := out()
	refused.ServerError, refused.Stream = srv(1153, "Got a packet bigger"), StreamReset
	behind := rest()
	behind.Stream, behind.Idle, behind.LastError = StreamEOF, 5*time.Millisecond, srv(1153, "Got a packet bigger")
	crossed := cut(Siblings{})
	crossed.LastError = srv(1153, "Got a packet bigger")
	for _, tt := range []struct {
		e         Evidence
		title, do string
	}{
		{refused, "The command is larger", "Send less"},
		{behind, "The command before was larger", "give the connection back"},
		{crossed, "The command before was larger", "give the connection back"},
	} {
		d := Diagnose(&tt.e)
		if d.Slug != "packet_too_large" || !strings.HasPrefix(d.Title, tt.title) || !strings.Contains(d.Do, tt.do) {
			t.Errorf("%s: %q, %q; want %q, %q", d.Slug, d.Title, d.Do, tt.title, tt.do)
		}
	}
}
