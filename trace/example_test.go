package trace_test

import (
	"net"

	"github.com/seqguard/mysql-seqguard/trace"
	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// A connection that is guarded without the driver, in a proxy or under another
// client, is told about in the same way.
func ExampleRecorder() {
	rec := trace.New(trace.Config{})
	if err := rec.Start(); err != nil {
		panic(err)
	}
	defer rec.Close()
	socket, server := net.Pipe()
	defer server.Close()
	conn := wrapconn.New(socket, wrapconn.Options{Server: "db.internal:3306", OnReport: rec.Report})
	defer conn.Close()
	// Output:
}
