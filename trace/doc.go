// Package trace tells OpenTelemetry about a violation: one span, one log record
// and a count for each [wrapconn.Report]. It uses the API only, never the SDK.
//
// Healthy traffic emits nothing. What is emitted is described in
// docs/telemetry.md, and a test holds that page against this code.
//
// # Concurrency
//
// A [Recorder] may be used by any number of goroutines.
package trace
