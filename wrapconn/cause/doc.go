// Package cause names the root cause of a failure on a MySQL connection.
//
// [Diagnose] takes the [Evidence] that a connection collected and goes through
// a table of rules, in order; the first that fits names the cause, and the last
// one is Undetermined. The numbers of a sequence error alone prove nothing
// ("got 1 expected 2" has eight causes), so rules look at the phase, the
// packet's kind and error code, what was outstanding, and the clock.
//
// Everything here is pure and safe for concurrent use.
package cause
