// Package reports_test plays what others have reported in public, in the trackers of servers, proxies and drivers, and holds what this
// driver makes of it to what is true. Those that are about framing lie in test/grammar (numbers 2, 6, 7, 26, 27, 30, 31, 34).
package reports_test

import (
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/kit"
)

func TestMain(m *testing.M) { kit.Main(m) }
