package trace

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// attrs collects attributes and leaves out the empty ones.
type attrs []attribute.KeyValue

func (a *attrs) add(kv ...attribute.KeyValue) { *a = append(*a, kv...) }

func (a *attrs) str(k attribute.Key, v string) {
	if v != "" {
		a.add(k.String(text(v)))
	}
}

func (a *attrs) num(k attribute.Key, v int64) { a.add(k.Int64(v)) }

// positive adds a number of which 0 means none.
func (a *attrs) positive(k attribute.Key, v int64) {
	if v > 0 {
		a.num(k, v)
	}
}

func (a *attrs) flag(k attribute.Key, v bool) { a.add(k.Bool(v)) }

// yes adds a flag that is worth a line only where it holds.
func (a *attrs) yes(k attribute.Key, v bool) {
	if v {
		a.flag(k, true)
	}
}

// ms adds a duration of which 0 means not measured.
func (a *attrs) ms(k attribute.Key, d time.Duration) {
	if d > 0 {
		a.duration(k, d)
	}
}

// duration adds a duration in milliseconds: down to the microsecond, which is
// what a packet takes, and whole ones beyond 1000 s, where a text format would
// turn to exponents.
func (a *attrs) duration(k attribute.Key, d time.Duration) {
	unit := time.Microsecond
	if d >= 1000*time.Second {
		unit = time.Millisecond
	}
	a.add(k.Float64(float64(d.Round(unit)) / float64(time.Millisecond)))
}

// text makes valid UTF-8 of what a peer said. The words of a server may be in
// another character set, or cut inside a character, and one such string makes an
// OTLP exporter lose the whole batch.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
