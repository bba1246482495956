package differ_test

import (
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/kit"
)

func TestMain(m *testing.M) { kit.Main(m) }
