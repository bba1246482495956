// Package debug shows the guarded connections of this process and what was
// reported last, on a page of its own:
//
//	mux.Handle("/debug/seqguard/", debug.Handler())
//
// Like net/http/pprof, it is for people who look at a running service, and it
// shows too much to strangers: addresses of servers, and which line of the program
// is doing what. Serve it where only you can reach it.
//
// It is a package of its own so that only programs that import it link
// html/template. Nothing runs until the page is requested, and each connection is
// locked only while its own history is copied.
//
// # What is shown
//
// Of the process: host, pid, version; how many connections are busy, free, in a
// transaction, idle in a transaction; who has taken how many of them out of the pool,
// by call site, and for how long. [WithDB] adds the numbers of a pool.
//
// Of each connection: the server and its connection id, the phase of the
// conversation, the operation that is using it, since when and from which line,
// counts, TLS and compression, and the last packets: time, direction, sequence id,
// kind, length. What is open for ten seconds or more stands out: a result, and a
// transaction or connection that is held and not used.
//
// Below are the last reports, and the operations that were given up. Equal ones are
// one entry, with their number, the times of the first and the last, the trace of the
// last ([WithTraceURL]), and the causes that are not excluded. As everywhere in this
// module, SQL, values and credentials are not recorded and so cannot be shown. A
// report does quote the server's own error message.
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
// All connections are counted, whatever is listed. A program that needs all of them
// requests one part after another, with sort=id.
package debug
