package trace

import (
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// attributes are those of the span and of the log records. Report.Err is not
// among them: an error of the driver may quote the statement.
func attributes(r *wrapconn.Report, dropped uint64, extra []attribute.KeyValue) []attribute.KeyValue {
	a := make(attrs, 0, 130)
	a.add(extra...)
	a.str(KeyAbout, r.Summary())
	a.database(r)
	a.network(r)
	a.client(&r.Evidence)
	a.diagnosis(&r.Cause)
	if r.Evidence.PoolWaits == 0 { // which is about no one connection
		a.wire(r)
		a.connection(r)
	}
	a.operations(r)
	a.timing(&r.Evidence)
	a.tcp(&r.Evidence.Transport)
	a.stall(&r.Evidence)
	a.str(KeyStallRecording, r.FlightRecording)
	a.postMortem(&r.Evidence.PostMortem)
	a.held(&r.Evidence)
	a.positive(KeyRelatedFailures, int64(r.Evidence.RelatedFailures))
	a.positive(KeyDroppedReports, int64(dropped))
	a.positive(KeyLostReports, int64(r.Lost))
	_, forgotten := lastPackets(r, maxPackets(r))
	a.positive(KeyHistoryForgotten, forgotten)
	return a
}

// https://opentelemetry.io/docs/specs/semconv/database/mysql/
func (a *attrs) database(r *wrapconn.Report) {
	e := &r.Evidence
	if e.MariaDB {
		a.add(semconv.DBSystemNameMariaDB)
	} else {
		a.add(semconv.DBSystemNameMySQL)
	}
	a.str(semconv.DBNamespaceKey, r.Database)
	if e.Command != session.ComSleep { // nobody sends it: none was seen
		a.str(semconv.DBOperationNameKey, strings.TrimPrefix(e.Command.String(), "COM_"))
	}
	if e.ServerError != nil {
		a.str(semconv.DBResponseStatusCodeKey, strconv.Itoa(int(e.ServerError.Code)))
	}
	if failed(r) {
		// Through the helper that instrumentations above this one use on the error,
		// so that both say the same.
		a.add(semconv.ErrorType(&wrapconn.ProtocolError{Report: r}))
	}
}

// failed reports whether what is told is an error. The conventions want neither the
// status of one nor error.type where it is not.
func failed(r *wrapconn.Report) bool { return r.Cause.Severity != cause.Notice }

func (a *attrs) diagnosis(c *cause.Diagnosis) {
	a.str(KeyCause, string(c.Slug))
	a.str(KeySeverity, c.Severity.String())
	a.str(KeyTitle, c.Title)
	a.str(KeyExplanation, c.Explanation)
	a.str(KeyAdvice, c.Advice)
	a.str(KeyDocumentation, cause.DocURL(c.Slug))
	if len(c.Alternatives) > 0 {
		s := make([]string, len(c.Alternatives))
		for i, alt := range c.Alternatives {
			s[i] = string(alt)
		}
		a.add(KeyAlternatives.StringSlice(s))
	}
	if !c.Standing {
		a.str(KeyExecuted, c.Executed.String())
	}
	if safe, applies := c.Retry(); applies {
		a.flag(KeyRetrySafe, safe)
	}
}

func (a *attrs) wire(r *wrapconn.Report) {
	e := &r.Evidence
	a.str(KeyPhase, e.Phase.String())
	if e.Command != session.ComSleep {
		a.str(KeyCommand, e.Command.String())
	}
	a.num(KeyPendingAnswers, int64(e.Pending))
	if e.Pending > 0 {
		a.flag(KeyAnswerStarted, e.AnswerStarted)
	}
	a.flag(KeyInTransaction, e.InTransaction)
	a.yes(KeyBeforeCommand, e.BeforeCommand)
	a.yes(KeyNothingWritten, e.NothingWritten)
	a.positive(KeyUnsentBytes, int64(e.Unsent))
	if e.Violation != session.None {
		a.str(KeyViolation, e.Violation.String())
		if e.Violation != session.Truncated {
			a.str(KeyDirection, direction(e.Direction).Value.AsString())
		}
	}
	if e.Stream != cause.StreamOpen {
		a.str(KeyStreamEnd, e.Stream.String())
		a.flag(KeyInsidePacket, e.InsidePacket)
	}
	switch {
	case hasPacket(e):
		a.num(KeySequenceExpected, int64(e.Expected))
		a.num(KeySequenceActual, int64(e.Actual))
		a.num(KeySequenceDistance, int64(e.Distance()))
		a.str(KeyPacketKind, e.Kind.String())
		a.num(KeyPacketLength, int64(e.Length))
	case r.Intruder != nil && (e.Phase.Answering() || e.Phase.Connecting()):
		a.num(KeySequenceExpected, int64(e.Expected)) // what the owner waits for
	}
}

// hasPacket reports whether it was a packet that broke the protocol. Otherwise
// the numbers of the evidence are zero, and 0 would read as one.
func hasPacket(e *cause.Evidence) bool {
	switch e.Violation {
	case session.None, session.Truncated:
		return false
	case session.NotMySQL:
		return false // bytes of something else, read as a header
	case session.Malformed:
		// A compressed frame, or an answer that the driver stumbled over.
		return e.Kind != session.KindUnknown || e.Length > 0 || e.Actual > 0
	}
	return true
}

func (a *attrs) connection(r *wrapconn.Report) {
	e := &r.Evidence
	a.positive(KeyConnectionID, int64(r.Connection))
	a.str(KeyConnectionUID, r.ID)
	a.duration(KeyConnectionAge, e.Age)
	a.ms(KeyConnectionIdle, e.Idle)
	a.num(KeyConnectionCommands, int64(e.Commands))
	a.str(KeyServerVersion, e.ServerVersion)
	if s := e.ServerError; s != nil {
		a.num(KeyServerErrorCode, int64(s.Code))
		a.str(KeyServerErrorState, s.SQLState)
		a.str(KeyServerErrorMessage, s.Message)
	}
	a.layers(e.TLS, e.Compressed)
	a.str(KeyTLSAlert, e.TLSAlert)
	a.str(KeyCompressionError, e.Compression)
	a.str(KeyOpaqueReason, r.OpaqueReason)
	a.str(KeyAuthPlugin, e.AuthPlugin)
}

// layers are what lies under the packets.
func (a *attrs) layers(tls cause.TLS, compressed bool) {
	a.str(KeyTLS, tls.String())
	compression := "none"
	if compressed {
		compression = "zlib"
	}
	a.str(KeyCompression, compression)
}

func (a *attrs) operations(r *wrapconn.Report) {
	if f, ok := r.Operation().Site(); ok {
		a.str(semconv.CodeFunctionNameKey, f.Function)
		a.str(semconv.CodeFilePathKey, f.File)
		a.num(semconv.CodeLineNumberKey, int64(f.Line))
	}
	a.operation(r.Owner, KeyOwnerOperation, KeyOwnerCallSite, KeyOwnerAge, KeyOwnerStack)
	a.operation(r.Intruder, KeyIntruderOperation, KeyIntruderCallSite, KeyIntruderAge, KeyIntruderStack)
	if r.Intruder != nil {
		a.str(KeyIntruderGoroutine, r.Goroutine)
		switch r.Evidence.Goroutines {
		case cause.SameGoroutine:
			a.str(KeyOwnerGoroutine, "the same")
		case cause.OtherGoroutine:
			a.str(KeyOwnerGoroutine, "another") // whose number nobody knows: see docs/telemetry.md
		}
		a.str(KeyConflict, conflict(r.Conflict))
	}
	a.str(KeyGoroutine, r.Goroutine)
}

// conflict names why the intruder may not use the connection.
func conflict(c wrapconn.Conflict) string {
	if c == wrapconn.NoConflict {
		return "outside" // any operation
	}
	return c.String()
}

func (a *attrs) operation(o *wrapconn.Operation, kind, site, age, stack attribute.Key) {
	if o == nil {
		return
	}
	a.str(kind, o.Kind.String())
	a.duration(age, max(o.Age, 0))
	if f, ok := o.Site(); ok {
		a.str(site, f.String())
		lines := make([]string, len(o.Stack))
		for i, f := range o.Stack {
			lines[i] = f.String()
		}
		a.str(stack, strings.Join(lines, "\n"))
	}
}

func (a *attrs) timing(e *cause.Evidence) {
	for _, t := range []struct {
		key attribute.Key
		d   time.Duration
	}{
		{KeyTimingGreeting, e.GreetingAfter},
		{KeyTimingLogin, e.LoginAfter},
		{KeyTimingSince, e.SinceLogin},
		{KeyTimingOwnPause, e.OwnPause},
		{KeyTimingDial, e.DialTook},
		{KeyTimingUnread, e.GreetingLay},
		{KeyTimingWrite, e.WriteTook},
		{KeyTimingCommand, e.SinceCommand},
		{KeyTimingReadGap, e.LongestReadGap},
		{KeyTimingAnswer, e.AnswerAfter},
	} {
		a.ms(t.key, t.d)
	}
}
