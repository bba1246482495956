package wrapconn_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// Both sites of a conflict are those of the functions that called Begin, for a
// client without an interceptor in between, too.
func TestCallSites(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := wrapconn.New(a, wrapconn.Options{CallSites: true})
	firstUser(c)
	err := secondUser(c)
	var oe *wrapconn.OwnershipError
	if !errors.As(err, &oe) {
		t.Fatal(err)
	}
	for want, op := range map[string]*wrapconn.Operation{"firstUser": oe.Report.Owner, "secondUser": oe.Report.Intruder} {
		if f, ok := op.Site(); !ok || !strings.HasSuffix(f.Function, want) {
			t.Errorf("site %v, want %s", f, want)
		}
	}
}

//go:noinline
func firstUser(c *wrapconn.Conn) { _, _ = c.Begin(context.Background(), wrapconn.OpQuery) }

//go:noinline
func secondUser(c *wrapconn.Conn) error {
	_, err := c.Begin(context.Background(), wrapconn.OpExec)
	return err
}
