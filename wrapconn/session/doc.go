// Package session follows a MySQL conversation packet by packet and knows where
// it stands: which phase, which sequence id is due, which answers are
// outstanding, and whether a packet breaks the protocol.
//
// A [Tracker] is pure: no I/O, no clock, no telemetry. It is fed packets (from
// wire) in the order in which they passed and answers each with an [Event].
// What it cannot follow it calls untracked; it never guesses and never invents
// a violation.
//
// The grammar is the manual's
// (https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html and
// https://mariadb.com/kb/en/clientserver-protocol/); functions cite the page
// that they follow.
//
// Reports and snapshots of wrapconn speak in the names of this package: [Phase],
// [Kind], [Command], [Violation]. A Tracker is only for who has packets and no
// wrapconn.Conn.
//
// # Concurrency
//
// A Tracker is not safe for concurrent use. wrapconn.Conn serialises.
package session
