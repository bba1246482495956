// Package jaegertest reads traces back from a real Jaeger.
package jaegertest

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// Event is an event of a span.
type Event struct {
	Name       string
	Time       Time `json:"timeUnixNano"`
	Attributes []Attribute
}

// Span is one of a trace, in the form of OTLP, which has everything that was
// sent: types, the names of events, the attributes of links.
type Span struct {
	SpanID       string
	ParentSpanID string
	Name         string
	Kind         Kind
	Start        Time `json:"startTimeUnixNano"`
	End          Time `json:"endTimeUnixNano"`
	Status       struct {
		Code    Code
		Message string
	}
	Attributes []Attribute
	Events     []Event
	Links      []struct {
		SpanID     string
		Attributes []Attribute
	}
	DroppedAttributesCount, DroppedEventsCount, DroppedLinksCount int
}

// Kind is the kind of a span.
type Kind int

func (k Kind) String() string {
	return [...]string{"unspecified", "internal", "server", "client", "producer", "consumer"}[k]
}

// Code is the status of a span.
type Code int

func (c Code) String() string { return [...]string{"unset", "ok", "error"}[c] }

// Time is a moment.
type Time struct{ time.Time }

// UnmarshalJSON reads nanoseconds, which are in quotes.
func (t *Time) UnmarshalJSON(b []byte) error {
	var n int64
	err := json.Unmarshal(b[1:len(b)-1], &n)
	t.Time = time.Unix(0, n)
	return err
}

// Attribute is a key and its value: a string, int64, float64, bool, or []any.
type Attribute struct {
	Key   string
	Value Value
}

// Value is the value of an attribute.
type Value struct{ Any any }

// UnmarshalJSON reads an object whose one key is the type.
func (v *Value) UnmarshalJSON(b []byte) error {
	var in struct {
		StringValue, IntValue *string
		DoubleValue           *float64
		BoolValue             *bool
		ArrayValue            struct{ Values []Value }
	}
	err := json.Unmarshal(b, &in)
	switch {
	case err != nil:
	case in.StringValue != nil:
		v.Any = *in.StringValue
	case in.IntValue != nil:
		v.Any, err = strconv.ParseInt(*in.IntValue, 10, 64)
	case in.DoubleValue != nil:
		v.Any = *in.DoubleValue
	case in.BoolValue != nil:
		v.Any = *in.BoolValue
	default:
		list := []any{}
		for _, e := range in.ArrayValue.Values {
			list = append(list, e.Any)
		}
		v.Any = list
	}
	return err
}

// Get returns the value of a key; nil if it is not there.
func Get(list []Attribute, key string) any {
	for _, a := range list {
		if a.Key == key {
			return a.Value.Any
		}
	}
	return nil
}

// Trace reads the spans of a trace. It waits for the trace, not for all of its
// spans: the exporter has been shut down before.
func Trace(t *testing.T, jaeger *mysqltest.JaegerServer, id string) []Span {
	t.Helper()
	jaeger.WaitTrace(t, id)
	resp, err := http.Get(jaeger.Query + "/api/v3/traces/" + id)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("trace %s: %s, %v\n%s", id, resp.Status, err, body)
	}
	var got struct {
		Result struct {
			ResourceSpans []struct {
				ScopeSpans []struct{ Spans []Span }
			}
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	var out []Span
	for _, r := range got.Result.ResourceSpans {
		for _, s := range r.ScopeSpans {
			out = append(out, s.Spans...)
		}
	}
	return out
}
