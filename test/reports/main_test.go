// Package reports_test plays what others have reported in public, in the trackers of servers, proxies and drivers, and holds what this
// driver makes of it to what is true. Those that are about framing lie in test/grammar (numbers 2, 6, 7, 26, 27, 30, 31, 34), those about TLS
// in test/wire and test/causes (13, 15).
//
// Each is produced on MySQL and MariaDB where they can do it, else from a script. Of other peers, scripts/imitations.sh runs go-mysql-server, which
// is the engine of Dolt (12, 38), and go-mysql (36). What a report saw of a server that cannot be had is played from its description: TiDB
// (34), of which the module proxy has no release that can be built with this Go; Vitess (11, 32, 33), whose release there has the faults
// cured, and is too large to be built beside the tests; StarRocks, Doris and MatrixOne (5, 27, 28, 30, 39), which are no Go modules, or need a cluster.
package reports_test

import (
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/kit"
)

func TestMain(m *testing.M) { kit.Main(m) }
