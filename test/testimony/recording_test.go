//go:build linux

package testimony_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/trace"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestFlightRecorder: what the process did while it kept a server waiting is written
// to a file, and what is no fault of its own is not.
func TestFlightRecorder(t *testing.T) {
	dir := t.TempDir()
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: 10 * time.Second, MaxBytes: 4 << 20})
	server := mysqltest.Start(t, "mysql9", "--connect-timeout=2")
	late := func() *seqguard.Report {
		db, c := kit.Open(t, server.DSN(""), func(cfg *mysql.Config) { kit.Stall(cfg, 1, 2500*time.Millisecond) }, seqguard.WithFlightRecorder(recorder, dir))
		if err := db.Ping(); err == nil {
			t.Fatal("no error")
		}
		r := told(t, c)
		if r.Cause.Slug != "login_stalled_locally" {
			t.Fatalf("%s", r)
		}
		return r
	}
	if r := late(); r.FlightRecording != "" {
		t.Errorf("%q is written by a recorder that is not started", r.FlightRecording)
	}
	if err := recorder.Start(); err != nil {
		t.Skipf("NOT TESTED: another flight recorder is running: %v", err)
	}
	defer recorder.Stop()
	db, c := kit.Open(t, server.DSN("readTimeout=3s"), nil, seqguard.WithFlightRecorder(recorder, dir))
	_, _ = db.Exec("DO SLEEP(6)")
	if r := told(t, c); r.FlightRecording != "" {
		t.Errorf("%s is not this process's doing, and %q is written", r.Cause.Slug, r.FlightRecording)
	}
	r := late()
	if filepath.Dir(r.FlightRecording) != dir || !strings.Contains(r.FlightRecording, "login_stalled_locally") || !strings.Contains(r.String(), "execution trace: "+r.FlightRecording) {
		t.Fatalf("%q\n%s", r.FlightRecording, r)
	}
	b, err := os.ReadFile(r.FlightRecording)
	if err != nil || !bytes.HasPrefix(b, []byte("go 1.")) || !bytes.Contains(b[:64], []byte("trace")) || len(b) > 64<<20 {
		t.Errorf("%d bytes: %.64q, %v", len(b), b, err)
	}
	if i, err := os.Stat(r.FlightRecording); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", i.Mode(), err)
	}
	t.Logf("%d bytes", len(b))
	if again := late(); again.FlightRecording != "" {
		t.Errorf("%q is written within the same minute", again.FlightRecording)
	}
}
