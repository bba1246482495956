// Package seqguard is a MySQL driver for database/sql that says what went wrong
// on the wire.
//
// Change one word,
//
//	db, err := sql.Open("mysql-seqguard", dsn)
//
// and everything works as with "mysql". When a conversation with the server
// breaks, the error of the operation and a span in your tracing backend say
// what happened on the wire, who was using the connection, what the server
// really said, what caused it, and what to do. There are two further promises:
// an answer goes only to its own command, as far as that can be known, and a
// connection has one user at a time.
//
// The driver below is github.com/go-sql-driver/mysql: its DSN, its Config, its
// errors. Between the driver and the socket is a net.Conn (package wrapconn)
// that looks at the bytes as they pass, through TLS and compression too. It
// changes none of them.
//
// # DSN
//
// A DSN is one of go-sql-driver/mysql, with these additional parameters. They
// are taken out before the driver sees the DSN. An unknown parameter or a bad
// value is an error of sql.Open.
//
//	seqguardMode=enforce|observe     refuse misuse, or only report it (enforce)
//	seqguardHistory=N                packets that a connection remembers (64)
//	seqguardTLS=visible|opaque       look into TLS, or not (visible)
//	seqguardCallSites=true|false     record where operations were started (true)
//	seqguardAttribute=true|false     give each connection an id that the server has as well (false)
//	seqguardPostMortem=off|on|statement  ask the server after a failure (off)
//	seqguardStallStacks=true|false   look where the goroutine is that keeps a server waiting (true)
//	seqguardAbandoned=true|false     report operations whose context ended while their command was unanswered (false)
//
// The same and more can be set by options: see [Register] and [NewConnector].
//
// # Errors
//
// When the conversation broke, the driver's error is wrapped in a
// [*ProtocolError], so errors.Is and errors.As find what they would find
// without this package. Its text is one line of at most 300 characters; %+v
// prints the whole report. An ordinary answer of the server (duplicate key,
// unknown table) is returned unchanged, as are driver.ErrSkip and io.EOF.
//
// An operation that would use a connection while another one does is refused
// with an [*OwnershipError]. Nothing has been written then, and the other
// operation is not affected.
//
// An error is driver.ErrBadConn only if no byte of the command has been
// written, or if the command was to prepare a statement, which runs nothing. So
// database/sql never runs a statement twice because of it. This
// makes one difference: for a connection that is found dead before the command
// is written, the error is driver.ErrBadConn, where the plain driver may write
// to the dead connection and return mysql.ErrInvalidConn.
//
// # Telemetry
//
// Healthy traffic emits nothing. A violation becomes one span named
// seqguard.violation under the span of the operation, one log record and a
// count; see package trace. What is recorded, and what never is (SQL, values,
// credentials, keys), is in SECURITY.md.
//
// # Concurrency
//
// Driver, Connector and the functions of this package may be used by any number
// of goroutines. A connection may not, as with any driver, and that is
// enforced: two calls on one connection at the same time, or a call while the
// rows of a query are open, do not reach the wire. database/sql may use a
// connection from several goroutines in turn, and close rows and transactions
// when a context is cancelled. Close may be called at any time.
package seqguard
