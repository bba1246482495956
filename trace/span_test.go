package trace_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

func TestParentAndLinks(t *testing.T) {
	k := newKit()
	bare := context.Background()
	one, oneSpan := k.tracer.Start(bare, "one")
	two, twoSpan := k.tracer.Start(bare, "two")
	remote := oteltrace.ContextWithRemoteSpanContext(bare, oneSpan.SpanContext())
	for _, tt := range []struct {
		name            string
		ctx             context.Context
		owner, intruder context.Context
		parent          oteltrace.Span
		links           string
	}{
		{"a conflict", two, one, two, twoSpan, "owner one"},
		{"of one request", one, one, one, oneSpan, ""},
		{"of one request, seen as remote", one, remote, one, oneSpan, ""},
		{"found by nobody", bare, one, two, nil, "owner one, intruder two"},
		{"found by nobody, of one request", bare, one, one, nil, "owner one"},
		{"without spans", bare, bare, bare, nil, ""},
		{"without contexts", nil, nil, nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k.spans.Reset()
			r := conflict(tt.owner, tt.intruder)
			r.Server = tt.name // each its own share of the rate limit
			k.rec.Report(tt.ctx, r)
			s := k.violation(t)
			switch {
			case tt.parent == nil && s.Parent().IsValid():
				t.Error("it has a parent, want a root")
			case tt.parent != nil && s.Parent().SpanID() != tt.parent.SpanContext().SpanID():
				t.Error("the parent is another span")
			}
			names := map[oteltrace.SpanID]string{oneSpan.SpanContext().SpanID(): "one", twoSpan.SpanContext().SpanID(): "two"}
			var got []string
			for _, l := range s.Links() {
				role, _ := get(l.Attributes, trace.KeyLinkRole)
				got = append(got, role.AsString()+" "+names[l.SpanContext.SpanID()])
			}
			if g := strings.Join(got, ", "); g != tt.links {
				t.Errorf("links %q, want %q", g, tt.links)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	for s, want := range map[cause.Severity]codes.Code{
		cause.Notice: codes.Unset, cause.Error: codes.Error, cause.Misuse: codes.Error, cause.DataIntegrity: codes.Error,
	} {
		k := newKit()
		r := stalled(context.Background())
		r.Cause.Severity = s
		k.rec.Report(r.Context, r)
		got := k.violation(t).Status()
		if got.Code != want || (got.Description == r.Cause.Explanation) != (want == codes.Error) {
			t.Errorf("%s has status %v %q", s, got.Code, got.Description)
		}
	}
}

// A span without the status of an error has no error.type: a notice is no failure, and
// backends count what has one.
func TestNoErrorTypeWithoutAnError(t *testing.T) {
	notices := 0
	for name, r := range all(context.Background()) {
		k := newKit()
		k.rec.Report(r.Context, r)
		s := k.violation(t)
		_, has := get(s.Attributes(), semconv.ErrorTypeKey)
		if failed := s.Status().Code == codes.Error; has != failed || failed == (r.Cause.Severity == cause.Notice) {
			t.Errorf("%s (%s): status %v, error.type %t", name, r.Cause.Severity, s.Status().Code, has)
		}
		if r.Cause.Severity == cause.Notice {
			notices++
		}
	}
	if notices == 0 {
		t.Error("no notice among the reports")
	}
}

// An instrumentation above this one takes error.type from the error: it must be
// the same as here.
func TestErrorTypeIsThatOfTheError(t *testing.T) {
	r := stalled(context.Background())
	k := newKit()
	k.rec.Report(r.Context, r)
	got, _ := get(k.violation(t).Attributes(), semconv.ErrorTypeKey)
	err := fmt.Errorf("checkout: %w", &wrapconn.ProtocolError{Report: r})
	if want := semconv.ErrorType(err).Value; got.AsString() != want.AsString() || got.AsString() != string(r.Cause.Slug) {
		t.Errorf("error.type %q, that of the error is %q", got.AsString(), want.AsString())
	}
}

// Numbers that nobody saw must not appear as zeros.
func TestNoNumbersWithoutAPacket(t *testing.T) {
	for name, change := range map[string]func(*cause.Evidence){
		"the stream ended":    func(e *cause.Evidence) { e.Violation = session.Truncated },
		"not MySQL":           func(e *cause.Evidence) { e.Violation, e.Actual, e.Length = session.NotMySQL, 0x2d, 99 },
		"a compressed frame":  func(e *cause.Evidence) { e.Violation, e.Compression = session.Malformed, "bad checksum" },
		"the driver stumbled": func(e *cause.Evidence) { e.Violation, e.Expected = session.Malformed, 3 },
		"a file that broke":   func(e *cause.Evidence) { e.Phase, e.InfileFailed = session.PhaseLocalInfile, true },
	} {
		k := newKit()
		e := cause.Evidence{Phase: session.PhaseRows}
		change(&e)
		k.rec.Report(context.Background(), &wrapconn.Report{Time: epoch, Evidence: e, Cause: cause.Diagnose(&e), Connected: epoch})
		for _, key := range []attribute.Key{trace.KeySequenceExpected, trace.KeySequenceActual, trace.KeySequenceDistance, trace.KeyPacketKind, trace.KeyPacketLength} {
			if v, ok := get(k.violation(t).Attributes(), key); ok {
				t.Errorf("%s: %s = %v", name, key, v.AsInterface())
			}
		}
	}
}

type addr struct{ network, address string }

func (a addr) Network() string { return a.network }
func (a addr) String() string  { return a.address }

func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		server, network string
		peer            net.Addr
		want            string // server.address server.port transport peer.address peer.port
	}{
		{"db:3306", "tcp", &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 3306}, "db 3306 tcp 10.0.0.1 3306"},
		{"[::1]:3307", "tcp", &net.TCPAddr{IP: net.IPv6loopback, Port: 3307}, "::1 3307 tcp ::1 3307"},
		{"db:3306", "tcp", nil, "db 3306 tcp - -"},
		{"db:3306", "tcp", &net.TCPAddr{}, "db 3306 tcp - -"},
		{"db:mysql", "tcp", nil, "db:mysql - tcp - -"},
		{"db:70000", "tcp", nil, "db:70000 - tcp - -"},
		{"/run/mysqld.sock", "unix", &net.UnixAddr{Name: "/run/mysqld.sock", Net: "unix"}, "/run/mysqld.sock - unix /run/mysqld.sock -"},
		{"/run/mysqld.sock", "unix", &net.UnixAddr{Name: "@", Net: "unix"}, "/run/mysqld.sock - unix - -"},
		{"project:region:instance", "cloudsql", addr{"tcp", "10.0.0.9:3307"}, "project:region:instance - tcp 10.0.0.9 3307"},
		{"memory", "memory", addr{"pipe", "pipe"}, "memory - pipe - -"},
		{"ssh:22", "ssh", addr{"ssh", "somewhere"}, "ssh 22 - - -"},
		{"", "", nil, "- - - - -"},
	} {
		k := newKit()
		r := stalled(context.Background())
		r.Server, r.Network, r.Peer, r.Local = tt.server, tt.network, tt.peer, nil
		k.rec.Report(r.Context, r)
		var got []string
		for _, key := range []attribute.Key{semconv.ServerAddressKey, semconv.ServerPortKey, semconv.NetworkTransportKey, semconv.NetworkPeerAddressKey, semconv.NetworkPeerPortKey} {
			v, ok := get(k.violation(t).Attributes(), key)
			if !ok {
				got = append(got, "-")
				continue
			}
			got = append(got, fmt.Sprint(v.AsInterface()))
		}
		if g := strings.Join(got, " "); g != tt.want {
			t.Errorf("%s %q: %s, want %s", tt.network, tt.server, g, tt.want)
		}
	}
}

// A long history does not overflow what an SDK keeps, and what is cut is told.
func TestHistoryIsCapped(t *testing.T) {
	k := newKit()
	r := stalled(context.Background())
	r.History, r.Forgotten = nil, 7
	for i := range 500 {
		r.History = append(r.History, wrapconn.HistoryEntry{Time: epoch.Add(time.Duration(i)), Kind: session.KindOK, Count: 1})
	}
	k.rec.Report(r.Context, r)
	s := k.violation(t)
	if n := len(s.Events()); n != 128 || s.DroppedEvents() != 0 {
		t.Errorf("%d events, %d dropped by the SDK", n, s.DroppedEvents())
	}
	if last := s.Events()[127].Time; !last.Equal(epoch.Add(499)) {
		t.Errorf("the last event is of %v", last)
	}
	if v, _ := get(s.Attributes(), trace.KeyHistoryForgotten); v.AsInt64() != 7+500-128 {
		t.Errorf("%d forgotten, want %d", v.AsInt64(), 7+500-128)
	}
	lines, _ := get(k.record(t), trace.KeyHistoryPackets)
	if n := len(lines.AsStringSlice()); n != 16 {
		t.Errorf("%d packets in the log record", n)
	}
}

func TestConcurrentReports(t *testing.T) {
	k := newKit()
	var wg sync.WaitGroup
	const each = 20
	for range 8 {
		wg.Go(func() {
			for range each {
				for _, r := range all(context.Background()) {
					k.rec.Report(r.Context, r)
				}
				if err := errors.Join(k.rec.Start(), k.rec.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := sums(t, k.reader)
	if want := int64(8 * each * len(all(context.Background()))); got[trace.MetricViolations] != want {
		t.Errorf("%d violations counted, want %d", got[trace.MetricViolations], want)
	}
	if emitted := int64(len(k.violations())); emitted+got[trace.MetricDropped] != got[trace.MetricViolations] || emitted != int64(10*len(all(context.Background()))) {
		t.Errorf("%d emitted, %d dropped of %d", emitted, got[trace.MetricDropped], got[trace.MetricViolations])
	}
}

// What must never leave the process: here, that nothing holds the error of the
// driver, which may quote a statement.
func TestNoStatementLeaves(t *testing.T) {
	k := newKit()
	r := lost(context.Background())
	k.rec.Report(r.Context, r)
	s := k.violation(t)
	told := fmt.Sprint(s.Attributes(), s.Events(), s.Status(), k.record(t), k.logs.records[0].Body().AsString(), k.text.String(), collect(t, k.reader))
	for _, secret := range []string{"card_number", "SELECT"} {
		if strings.Contains(told, secret) {
			t.Errorf("%q is told", secret)
		}
	}
}

// One string that is not UTF-8 makes an OTLP exporter lose the batch.
func TestTextIsUTF8(t *testing.T) {
	k := newKit()
	r := stalled(context.Background())
	const latin1 = "acc\xe8s refus\xe9"
	r.Evidence.ServerError = &session.ServerError{Code: 1159, SQLState: "\xff\xff\xff\xff\xff", Message: latin1}
	r.Evidence.ServerVersion, r.Database, r.Server = "9.7\xff", "\xff", "\xff:3306"
	r.Cause.Explanation, r.Cause.Title = latin1, latin1
	k.rec.Report(r.Context, r)
	s := k.violation(t)
	for _, a := range append(s.Attributes(), k.record(t)...) {
		if a.Value.Type() == attribute.STRING && !utf8.ValidString(a.Value.AsString()) {
			t.Errorf("%s is not UTF-8", a.Key)
		}
	}
	if body := k.logs.records[0].Body().AsString(); !utf8.ValidString(s.Status().Description) || !utf8.ValidString(body) {
		t.Errorf("status %q, body %q", s.Status().Description, body)
	}
}
