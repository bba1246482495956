// Package wrapconn guards one connection of a MySQL client.
//
// [New] wraps a net.Conn. The bytes, counts and errors of the inner connection
// pass through. Meanwhile a [Conn] finds the packets, follows the conversation,
// keeps the last packets, and knows which operation is using the connection
// ([Conn.Begin]). When something breaks, it names the cause in a [Report].
//
// The package does not need database/sql, go-sql-driver/mysql or OpenTelemetry.
// Another client or a proxy can use it as it is.
//
// # Concurrency
//
// A Conn may be used as any net.Conn: Close, the deadline setters and the
// address getters at any time and from any goroutine; Read from one goroutine
// at a time and Write from one at a time, which may be two different ones. A
// second Read while one is under way, or a second Write, is what the package
// exists to find: it is reported, and in Enforce mode refused.
//
// Begin, End and related methods may be called from any goroutine at any time;
// they return an error to a caller that must not go on. A Report does not change
// after it has been handed out.
package wrapconn
