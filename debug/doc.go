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
// Of the process: host, pid, version; how many connections are busy, free, in a
// transaction, idle in a transaction; who has taken how many of them out of the pool,
// by call site, and for how long. [WithDB] adds the numbers of a pool.
//
// Of each connection: the server and its id of the connection, the phase of the
// conversation, the operation that has the connection, since when and from
// which line, counts, TLS and compression, and the last packets: time,
// direction, sequence id, kind, length. A result that has been open for ten seconds
// stands out, and a transaction or a connection that somebody keeps as long and does
// nothing with.
//
// Below, the last reports, and the operations that were given up; those that are
// alike are one, with their number and the times of the first and the last, the trace
// of the last ([WithTraceURL]), and the causes that are not excluded. As everywhere
// in this module no SQL, no values and no credentials are recorded, so none can
// be shown; a report quotes the server's own error message, though.
//
// # Parameters and formats
//
//	server=host:port   connections to one server
//	n=200              how many are listed, at most 500; 0 for none
//	from=200           that many are passed over
//	sort=id            by server and id; otherwise those in use come first, longest first
//	refresh=5          the browser asks again every five seconds
//	format=json        the same as JSON, as for a request whose Accept header prefers
//	                   application/json
//
// All connections are counted, whatever is listed. A program that wants all of them
// asks for one part after another, with sort=id.
package debug
