package cause

import "testing"

// Also where int has 32 bits.
func TestLargeCounts(t *testing.T) {
	e := &Evidence{CommandBytes: 5 << 30}
	if got := count(e.CommandBytes, "byte", "bytes"); got != "5368709120 bytes" {
		t.Error(got)
	}
}
