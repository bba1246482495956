package owner_test

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// forOwner runs a test on MySQL and MariaDB, in plaintext and with TLS.
func forOwner(t *testing.T, test func(t *testing.T, dsn func(params string) string)) {
	for _, name := range []string{"mysql9", "mariadb1011"} {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.Shared(t, name)
			for _, tls := range []string{"false", "skip-verify"} {
				t.Run("tls="+tls, func(t *testing.T) {
					test(t, func(params string) string { return server.DSN("tls=" + tls + "&" + params) })
				})
			}
		})
	}
}

// refusal checks that err is a refusal which names both operations and where they were started, and nothing else.
func refusal(err error, site string) error {
	var oe *seqguard.OwnershipError
	if !errors.As(err, &oe) {
		return fmt.Errorf("not refused: %w", orNil(err))
	}
	if errors.Is(err, driver.ErrBadConn) {
		return fmt.Errorf("a refusal is driver.ErrBadConn, so database/sql would run it elsewhere: %w", err)
	}
	r := oe.Report
	if r.Owner == nil || r.Intruder == nil {
		return fmt.Errorf("owner %v, intruder %v: %w", r.Owner, r.Intruder, err)
	}
	for _, o := range []*wrapconn.Operation{r.Owner, r.Intruder} {
		if f, ok := o.Site(); !ok || !strings.HasSuffix(f.File, "/"+site) {
			return fmt.Errorf("call site of %s is %v, want %s: %w", o.Kind, f, site, err)
		}
		if !strings.Contains(err.Error(), o.Kind.String()) {
			return fmt.Errorf("operation %q is not named: %w", o.Kind, err)
		}
	}
	if n := strings.Count(err.Error(), site+":"); n < 2 {
		return fmt.Errorf("%d call sites are named: %w", n, err)
	}
	return nil
}

func orNil(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// isBad reports whether database/sql takes a connection with this error out of use.
func isBad(err error) bool { return errors.Is(err, driver.ErrBadConn) }
