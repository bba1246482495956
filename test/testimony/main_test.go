//go:build linux

package testimony_test

import (
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/kit"
)

func TestMain(m *testing.M) {
	if victim() {
		return
	}
	kit.WaitBeside()
	kit.Main(m)
}
