package kit

import (
	"errors"
	"testing"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// WantCause checks that the error of the operation and the one report are about
// the cause.
func WantCause(t *testing.T, err error, c *Collector, slug cause.Slug) *seqguard.Report {
	t.Helper()
	r := c.Only(t)
	t.Logf("error: %v\n%s", err, r.Timeline())
	if r.Cause.Slug != slug {
		t.Errorf("cause %s, want %s", r.Cause.Slug, slug)
	}
	var pe *seqguard.ProtocolError
	if !errors.As(err, &pe) || !Same(pe.Report, r) {
		t.Errorf("the error does not carry the report: %v", err)
	}
	return r
}

// Same tells whether two reports, of an error and of a callback, are about the same event.
func Same(a, b *seqguard.Report) bool { return a.Time.Equal(b.Time) && a.Connection == b.Connection }

// WantServerError checks that err has a *mysql.MySQLError with that number.
func WantServerError(t *testing.T, err error, code uint16) {
	t.Helper()
	var me *mysql.MySQLError
	if !errors.As(err, &me) || me.Number != code {
		t.Errorf("no MySQLError %d in %v", code, err)
	}
}
