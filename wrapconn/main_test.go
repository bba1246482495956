package wrapconn_test

import (
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

func TestMain(m *testing.M) {
	wrapconn.PanicsMeant = kit.PanicsMeant
	kit.Main(m)
}
