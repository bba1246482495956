// Package debug shows the guarded connections of this process and what was
// reported last, on a page of its own:
//
//	mux.Handle("/debug/seqguard/", debug.Handler())
//
// It is for people who look at a service while it runs, as net/http/pprof is,
// and like that it tells strangers too much: addresses of servers, and which
// line of the program is doing what. Serve it where only you can reach it.
//
// The package stands apart so that only those who import it link html/template.
// Nothing runs unless somebody asks for the page, and each connection is held up
// only while its own history is copied.
//
// # What is shown
//
// Of each connection: the server and its id of the connection, the phase of the
// conversation, the operation that has the connection, since when and from
// which line, counts, TLS and compression, and the last packets: time,
// direction, sequence id, kind, length. Below, the last reports. As everywhere
// in this module no SQL, no values and no credentials are recorded, so none can
// be shown; a report quotes the server's own error message, though.
//
// # Parameters and formats
//
// ?server=host:port restricts the page to one server. A request whose Accept
// header prefers application/json gets the same as JSON, as does ?format=json.
// At most 500 connections are listed, and it is said how many there are.
package debug
