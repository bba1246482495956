// Package wrapconn guards one connection of a MySQL client.
//
// [New] wraps a net.Conn. The bytes, counts and errors of the inner connection
// pass through; beside them, a [Conn] finds the packets (wire), follows the
// conversation (session), keeps the last packets ([Conn] history), knows who is
// using the connection ([Conn.Begin]), and when something breaks, names the cause
// (cause) and tells it in a [Report].
//
// The package needs neither database/sql nor go-sql-driver/mysql nor
// OpenTelemetry: a proxy or another client can use it as it is.
//
// # Concurrency
//
// A Conn may be used as any net.Conn: Close, the deadline setters and the
// address getters at any time and from any goroutine; Read from one goroutine
// at a time and Write from one at a time, which may be two different ones. A
// second Read while one is under way, or a second Write, is what the package
// exists to find: it is reported, and in Enforce mode refused.
//
// Begin, End and their like may be called from any goroutine at any time: who
// must not go on is told so. A Report is immutable once it has been handed out.
package wrapconn
