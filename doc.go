// Package seqguard is a MySQL driver for database/sql that says what went wrong
// on the wire.
//
// Change one word,
//
//	db, err := sql.Open("mysql-seqguard", dsn)
//
// and everything works as with "mysql". When a conversation with the server
// breaks, the error of the operation, and a span in your tracing backend, say
// what happened on the wire, who was using the connection, what the server
// really said, what caused it, and what to do. Two further promises: an answer
// never goes to another command than its own, as far as that can be known, and a
// connection has one user at a time.
//
// The driver below is github.com/go-sql-driver/mysql: its DSN, its Config, its
// errors. Between the driver and the socket lies a net.Conn (package wrapconn)
// that looks at the bytes as they pass, also through TLS and compression, and
// changes none of them.
//
// # DSN
//
// A DSN of go-sql-driver/mysql, with these parameters besides. They are taken
// out before the driver sees the DSN; one that is unknown or has a bad value is
// an error of sql.Open.
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
// The driver's error is wrapped in a [*ProtocolError] when the conversation
// broke, so errors.Is and errors.As find what they would find without us. Its
// text is one line of at most 300 characters; %+v prints the whole report. (One
// difference: a connection that is found dead before a byte of the command is
// written gives driver.ErrBadConn where the plain driver may have written into the
// void and give mysql.ErrInvalidConn.) A
// server's ordinary answer (duplicate key, unknown table) is returned as it is,
// as are driver.ErrSkip and io.EOF. An operation that would use a connection
// while another one does is refused with an [*OwnershipError]; nothing has been
// written then, and the other is not hurt. driver.ErrBadConn is found in an
// error only while not a byte of the command has been written, so that
// database/sql never runs a statement twice because of us.
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
// rows of a query are open, do not reach the wire. What database/sql does with a
// connection from several goroutines in turn, closing rows and transactions on
// a cancelled context included, is lawful, and Close is at any time.
package seqguard
