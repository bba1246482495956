package seqguard

import (
	"testing"
	"time"
)

// What a server says of itself fits what it is kept in, whatever it says.
func TestSecondsOfAServer(t *testing.T) {
	for said, want := range map[string]time.Duration{
		"28800": 8 * time.Hour, "0": 0, "-1": 0, "": 0, "off": 0, "9300000000": maxSeconds * time.Second, "9223372036854775807": maxSeconds * time.Second,
	} {
		if got := seconds(said); got != want {
			t.Errorf("%q is %v, want %v", said, got, want)
		}
	}
}
