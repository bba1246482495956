package wrapconn_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seqguard/mysql-seqguard/debug"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

func TestMain(m *testing.M) {
	wrapconn.PanicsMeant = kit.PanicsMeant
	wrapconn.LivePage = func() error {
		w := httptest.NewRecorder()
		debug.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if w.Code != http.StatusOK {
			return fmt.Errorf("the live page answers %d", w.Code)
		}
		return nil
	}
	kit.Main(m)
}
