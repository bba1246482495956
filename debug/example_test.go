package debug_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/seqguard/mysql-seqguard/debug"
)

func Example() {
	mux := http.NewServeMux()
	mux.Handle("/debug/seqguard/", debug.Handler())

	// Here instead of http.ListenAndServe("localhost:6060", mux):
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/seqguard/", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}
