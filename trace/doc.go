// Package trace emits violations to OpenTelemetry: one span, one log record and a
// count for each [wrapconn.Report], and a record for log/slog if it has a logger.
// It uses only the API of OpenTelemetry, never the SDK.
//
//	rec := trace.New(trace.Config{})
//	reports := wrapconn.NewDelivery(wrapconn.Receiver{Report: rec.Report, Lost: rec.Lost})
//	conn := wrapconn.New(socket, wrapconn.Options{OnReport: reports.Report})
//
// Healthy traffic emits nothing, except that a meter provider can see the open
// connections and the totals of the process between [Recorder.Start] and
// [Recorder.Close]. docs/telemetry.md describes what is emitted, and a test holds
// that page to this code. The names are stable. The constants here are for views,
// samplers and processors that select by name.
//
// # Concurrency
//
// A [Recorder] may be used by any number of goroutines.
package trace
