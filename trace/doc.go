// Package trace tells OpenTelemetry about a violation: one span, one log record
// and a count for each [wrapconn.Report], and a record for log/slog if asked to.
// It uses the API only, never the SDK.
//
//	rec := trace.New(trace.Config{})
//	reports := wrapconn.NewDelivery(wrapconn.Receiver{Report: rec.Report, Lost: rec.Lost})
//	conn := wrapconn.New(socket, wrapconn.Options{OnReport: reports.Report})
//
// Healthy traffic emits nothing, except that a meter provider can see the open
// connections and the totals of the process between [Recorder.Start] and
// [Recorder.Close]. What is emitted is described in docs/telemetry.md, and a test
// holds that page to this code. Those names are stable; the constants here are
// for views, samplers and processors that pick something out by its name.
//
// # Concurrency
//
// A [Recorder] may be used by any number of goroutines.
package trace
