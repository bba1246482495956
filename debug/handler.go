package debug

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// Handler returns the live view of this process. It answers GET and HEAD, on
// any path that it is mounted on.
func Handler() http.Handler { return http.HandlerFunc(serve) }

func serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	q := r.URL.Query()
	asJSON := prefersJSON(r.Header.Values("Accept"))
	switch q.Get("format") {
	case "json":
		asJSON = true
	case "html":
		asJSON = false
	}
	// Into memory first: a slow reader must not stretch the moment over which
	// the page was taken, and an error can still be told.
	v, body := look(q.Get("server")), bytes.Buffer{}
	var err error
	if asJSON {
		err = json.NewEncoder(&body).Encode(v)
		h.Set("Content-Type", "application/json; charset=utf-8")
	} else {
		err = v.writeHTML(&body)
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h.Set("Vary", "Accept")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body.Bytes())
	}
}
