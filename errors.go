package seqguard

import (
	"errors"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// ProtocolError is the error of an operation during which the conversation with
// the server broke. errors.As finds it, and its Report has the cause, the
// evidence and the last packets. It wraps the driver's error, so errors.Is and
// errors.As find that, too.
type ProtocolError = wrapconn.ProtocolError

// OwnershipError is the error of an operation that was refused because another
// one is using the connection. It is never driver.ErrBadConn.
type OwnershipError = wrapconn.OwnershipError

// Report is what is known about a violation.
type Report = wrapconn.Report

// serverError is a driver's error together with what the server said, when the
// driver did not get to read it.
type serverError struct {
	error
	server *mysql.MySQLError
}

func (e *serverError) Unwrap() []error { return []error{e.error, e.server} }

// newProtocolError puts the report around the driver's error. If the server's
// words are known and the driver's error does not have them (the driver saw only
// a broken pipe), they are added as a *mysql.MySQLError.
func newProtocolError(r *wrapconn.Report, err error) error {
	var pe *ProtocolError
	if errors.As(err, &pe) {
		return err
	}
	if s := r.Evidence.ServerError; s != nil {
		var me *mysql.MySQLError
		if !errors.As(err, &me) {
			me = &mysql.MySQLError{Number: s.Code, Message: s.Message}
			copy(me.SQLState[:], s.SQLState)
			err = &serverError{error: err, server: me}
		}
	}
	return &ProtocolError{Report: r, Err: err}
}
