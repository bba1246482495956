// Package session follows a MySQL conversation packet by packet and knows where
// it stands: which phase, which sequence id is due, which answers are
// outstanding, and whether a packet breaks the protocol.
//
// A [Tracker] is pure: no I/O, no clock, no telemetry. It takes packets in the
// order in which they passed and returns an [Event] for each. If it cannot follow
// the conversation, its phase is PhaseUntracked; it does not guess, and does not
// report a violation then.
//
// The grammar is the manual's
// (https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html and
// https://mariadb.com/kb/en/clientserver-protocol/); functions cite the page
// that they follow.
//
// Reports and snapshots of wrapconn use the names of this package: [Phase],
// [Kind], [Command], [Violation]. You need a Tracker only if you have packets and
// no wrapconn.Conn.
//
// # Concurrency
//
// A Tracker is not safe for concurrent use. wrapconn.Conn serialises.
package session
