// Package seqguard is a MySQL driver for database/sql that explains what goes
// wrong on the wire.
package seqguard
