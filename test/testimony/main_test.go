//go:build linux

package testimony_test

import (
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) {
	if victim() {
		return
	}
	mysqltest.Main(m)
}
