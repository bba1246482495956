// Package reports_test plays what others have reported in public, in the trackers of servers, proxies and drivers, and holds what this
// driver makes of it to what is true. Those that are about framing lie in test/grammar (numbers 2, 6, 7, 26, 27, 30, 31, 34).
//
// Each is produced on MySQL and MariaDB where they can do it, else from a script. What a report saw of another peer is played from its description:
// TiDB (34), Vitess (32, 33), StarRocks (39) and Dolt (12, 38) are programs too large to be built beside tests, or are not to be had as one.
// scripts/imitations.sh runs lawful use of go-mysql-server, which is Dolt's engine, and of go-mysql, apart from these tests.
package reports_test

import (
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/kit"
)

func TestMain(m *testing.M) { kit.Main(m) }
