package cost_test

import (
	"os"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/kit"
)

func TestMain(m *testing.M) {
	if os.Getenv(clientEnv) != "" {
		os.Exit(client())
	}
	kit.Main(m)
}
