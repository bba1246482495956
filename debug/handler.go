package debug

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// handler is the live view of this process.
type handler struct {
	process  process
	pools    []*watched
	traceURL string
}

// Handler returns the live view of this process. It answers GET and HEAD, on
// any path that it is mounted on.
func Handler(opts ...Option) http.Handler {
	h := &handler{process: thisProcess()}
	for _, o := range opts {
		if o != nil {
			o(h)
		}
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
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
	var body bytes.Buffer
	var err error
	if asJSON {
		v := h.look(asked(q), 0)
		for i := range v.Connections {
			c := &v.Connections[i]
			c.Packets = packetsOf(c.history, c.connected, nil)
		}
		err = json.NewEncoder(&body).Encode(v)
		header.Set("Content-Type", "application/json; charset=utf-8")
	} else {
		err = h.look(asked(q), maxLines).writeHTML(&body)
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", policy)
		header.Set("Referrer-Policy", "no-referrer")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	header.Set("Vary", "Accept")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body.Bytes())
	}
}
