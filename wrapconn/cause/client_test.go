package cause

import (
	"strings"
	"testing"
)

func TestClientString(t *testing.T) {
	for _, tt := range []struct {
		c    Client
		want string
	}{
		{Client{Local: true, Address: "127.0.0.1:4711"}, "this process"},
		{Client{}, "the client"},
		{Client{Name: "PyMySQL", Version: "1.0.2", Address: "10.0.0.7:4711", User: "shop"}, "PyMySQL 1.0.2 at 10.0.0.7:4711 as user shop"},
		{Client{Name: "MariaDB Connector/J", Program: "billing", Address: "[::1]:4711"}, "MariaDB Connector/J in billing at [::1]:4711"},
		{Client{Address: "10.0.0.7:4711", User: "x\nERROR all is lost"}, `the client at 10.0.0.7:4711 as user "x\nERROR all is lost"`},
	} {
		if got := tt.c.String(); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.c, got, tt.want)
		}
	}
	if got := (Client{Name: strings.Repeat("é", 5000)}).String(); len(got) > 400 {
		t.Errorf("a long name makes %d bytes", len(got))
	}
}

// TestOurs: only what is known to be another one is spoken of as another one.
func TestOurs(t *testing.T) {
	for _, tt := range []struct {
		e         Evidence
		ours, far bool
	}{
		{Evidence{}, true, false},
		{Evidence{Client: Client{Local: true}, Vantage: VantageProxy}, true, false},
		{Evidence{Client: Client{Address: "10.0.0.7:4711"}}, false, false},
		{Evidence{Vantage: VantageProxy}, false, false},
		{Evidence{Vantage: VantageServerHost}, false, true},
		{Evidence{Vantage: VantageBetween}, false, true},
	} {
		if tt.e.ours() != tt.ours || tt.e.far() != tt.far {
			t.Errorf("%+v, %s: ours %v, far %v", tt.e.Client, tt.e.Vantage, tt.e.ours(), tt.e.far())
		}
	}
}
