// Package report turns findings into what people and programs read: text, JSON
// and a page. It knows nothing of sockets or captures.
package report
