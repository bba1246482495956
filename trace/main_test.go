package trace_test

import (
	"testing"

	testkit "github.com/seqguard/mysql-seqguard/internal/kit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
