package wire

import (
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) { mysqltest.Main(m) }
