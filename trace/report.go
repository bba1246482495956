package trace

import (
	"net"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// attrs collects attributes and leaves out the empty ones.
type attrs []attribute.KeyValue

func (a *attrs) str(k attribute.Key, v string) {
	if v != "" {
		*a = append(*a, k.String(v))
	}
}

func (a *attrs) num(k attribute.Key, v int) { *a = append(*a, k.Int(v)) }

// positive adds a number of which 0 means none.
func (a *attrs) positive(k attribute.Key, v int) {
	if v > 0 {
		a.num(k, v)
	}
}

// ms adds a duration of which 0 means not measured, in milliseconds with a
// fraction.
func (a *attrs) ms(k attribute.Key, d time.Duration) {
	if d > 0 {
		*a = append(*a, k.Float64(float64(d.Round(time.Microsecond))/float64(time.Millisecond)))
	}
}

func (a *attrs) add(kv ...attribute.KeyValue) { *a = append(*a, kv...) }

// attributes are those of the span and of the log record.
func attributes(r *wrapconn.Report, dropped uint64, extra []attribute.KeyValue) []attribute.KeyValue {
	a := make(attrs, 0, 72)
	a.add(extra...)
	a.database(r)
	a.network(r)
	a.diagnosis(r)
	a.wire(r)
	a.connection(r)
	a.operations(r)
	a.timing(&r.Evidence)
	a.positive(KeyRelatedFailures, r.Evidence.RelatedFailures)
	a.positive(KeyDroppedReports, int(dropped))
	a.positive(KeyHistoryForgotten, int(r.Forgotten))
	return a
}

// https://opentelemetry.io/docs/specs/semconv/database/mysql/
func (a *attrs) database(r *wrapconn.Report) {
	if r.Evidence.MariaDB {
		a.add(semconv.DBSystemNameMariaDB)
	} else {
		a.add(semconv.DBSystemNameMySQL)
	}
	if r.Database != "" {
		a.add(semconv.DBNamespace(r.Database))
	}
	if c := r.Evidence.Command; c != 0 {
		a.add(semconv.DBOperationName(strings.TrimPrefix(c.String(), "COM_")))
	}
	if e := r.Evidence.ServerError; e != nil {
		a.add(semconv.DBResponseStatusCode(strconv.Itoa(int(e.Code))))
	}
	a.add(semconv.ErrorTypeKey.String(string(r.Cause.Slug)))
}

func (a *attrs) network(r *wrapconn.Report) {
	if host, port, ok := hostPort(r.Server); ok {
		a.add(semconv.ServerAddress(host), semconv.ServerPort(port))
	} else if r.Server != "" {
		a.add(semconv.ServerAddress(r.Server)) // the path of a socket
	}
	// A custom network's connection may be of any kind: then nothing is said.
	switch p := r.Peer.(type) {
	case *net.TCPAddr:
		a.add(semconv.NetworkTransportTCP, semconv.NetworkPeerAddress(p.IP.String()), semconv.NetworkPeerPort(p.Port))
	case *net.UnixAddr:
		a.add(semconv.NetworkTransportUnix, semconv.NetworkPeerAddress(p.Name))
	}
	if l, ok := r.Local.(*net.TCPAddr); ok {
		a.add(semconv.NetworkLocalAddress(l.IP.String()), semconv.NetworkLocalPort(l.Port))
	}
}

func hostPort(s string) (host string, port int, ok bool) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, false
	}
	port, err = strconv.Atoi(p)
	return host, port, err == nil
}

func (a *attrs) diagnosis(r *wrapconn.Report) {
	c := &r.Cause
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
	a.str(KeyExecuted, c.Executed.String())
	a.add(KeyRetrySafe.Bool(c.RetrySafe))
}

func (a *attrs) wire(r *wrapconn.Report) {
	e := &r.Evidence
	a.str(KeyPhase, e.Phase.String())
	if e.Command != 0 {
		a.str(KeyCommand, e.Command.String())
	}
	a.num(KeyPendingAnswers, e.Pending)
	a.add(KeyInTransaction.Bool(e.InTransaction))
	if e.Violation != session.None {
		a.str(KeyViolation, e.Violation.String())
		a.str(KeyDirection, e.Direction.String())
	}
	if e.Stream != cause.StreamOpen {
		a.str(KeyStreamEnd, e.Stream.String())
	}
	if e.TLS != cause.TLSOpaque {
		a.num(KeySequenceExpected, int(e.Expected))
	}
	if hasPacket(e) {
		a.num(KeySequenceActual, int(e.Actual))
		a.num(KeySequenceDistance, e.Distance())
		a.str(KeyPacketKind, e.Kind.String())
		a.num(KeyPacketLength, int(e.Length))
	}
}

// hasPacket reports whether it was a packet, not an end or a conflict, that
// broke the protocol.
func hasPacket(e *cause.Evidence) bool {
	return e.Violation != session.None && e.Violation != session.Truncated
}

func (a *attrs) connection(r *wrapconn.Report) {
	e := &r.Evidence
	a.positive(KeyConnectionID, int(r.Connection))
	a.ms(KeyConnectionAge, e.Age)
	a.ms(KeyConnectionIdle, e.Idle)
	a.num(KeyConnectionCommands, int(e.Commands))
	a.str(KeyServerVersion, e.ServerVersion)
	if s := e.ServerError; s != nil {
		a.num(KeyServerErrorCode, int(s.Code))
		a.str(KeyServerErrorState, s.SQLState)
		a.str(KeyServerErrorMessage, s.Message)
	}
	a.str(KeyTLS, e.TLS.String())
	a.str(KeyTLSReason, r.TLSReason)
	a.add(KeyCompression.Bool(e.Compressed))
}

func (a *attrs) operations(r *wrapconn.Report) {
	if f, ok := r.Operation().Site(); ok {
		a.add(semconv.CodeFunctionName(f.Function), semconv.CodeFilePath(f.File), semconv.CodeLineNumber(f.Line))
	}
	a.operation(r.Owner, KeyOwnerOperation, KeyOwnerCallSite, KeyOwnerAge, KeyOwnerStack)
	a.operation(r.Intruder, KeyIntruderOperation, KeyIntruderCallSite, KeyIntruderAge, KeyIntruderStack)
	if r.Intruder != nil {
		a.str(KeyConflict, r.Conflict.String())
	}
	a.str(KeyGoroutine, r.Goroutine)
}

func (a *attrs) operation(o *wrapconn.Operation, kind, site, age, stack attribute.Key) {
	if o == nil {
		return
	}
	a.str(kind, o.Kind.String())
	a.ms(age, o.Age)
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
	a.ms(KeyTimingGreeting, e.GreetingAfter)
	a.ms(KeyTimingLogin, e.LoginAfter)
	a.ms(KeyTimingSince, e.SinceLogin)
	a.ms(KeyTimingCommand, e.SinceCommand)
	a.ms(KeyTimingReadGap, e.LongestReadGap)
	a.ms(KeyTimingOwnPause, e.OwnPause)
}

// packetAttributes are those of one event of the span.
func packetAttributes(e *wrapconn.HistoryEntry) []attribute.KeyValue {
	a := make(attrs, 0, 10)
	if e.Direction == session.FromClient {
		a.add(semconv.NetworkIODirectionTransmit)
	} else {
		a.add(semconv.NetworkIODirectionReceive)
	}
	a.str(KeyPacketLabel, e.Label())
	a.str(KeyPacketKind, e.Kind.String())
	a.num(KeySequenceFirst, int(e.First))
	a.num(KeySequenceLast, int(e.Last))
	a.num(KeyPacketCount, e.Count)
	a.num(KeyPacketLength, e.Bytes)
	if e.Kind == session.KindCommand {
		a.str(KeyCommand, e.Command.String())
	}
	a.positive(KeyServerErrorCode, int(e.ErrorCode))
	if e.Violation != session.None {
		a.str(KeyViolation, e.Violation.String())
	}
	return a
}
