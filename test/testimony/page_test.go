//go:build linux

package testimony_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var updatePage = flag.Bool("update-page", false, "write docs/proof-matrix.md anew")

const pageFile = "../../docs/proof-matrix.md"

const pageHead = `# Real faults and what is said of them

[causes-matrix.md](causes-matrix.md) has what is seen on the wire. This page has what the kernel and the Go runtime add to it at the moment of a failure, and
how the sentences change. TestPage makes it from the faults that TestFaults, TestStalledLogin, TestLateDial, TestSlowReader and TestReadTooLate produce (` + "`test/testimony/`" + `).
` + "`SEQGUARD_PROOF_RUNS=20 go test ./test/testimony -timeout 3h`" + ` produces each of them twenty times.

## The network

Faults of a real one: two network namespaces of Linux with a wire between them that delays and loses (` + "`internal/netlab/`" + `), nftables in the server's, and servers that
stop to read or reset. A forwarder ends the TCP connections in front of the real servers, as a proxy does: what is acknowledged is acknowledged by it.

| what happens | how it is produced | on | cause | what the kernel adds |
|---|---|---|---|---|
`

const pageStalls = `
## This process

A process of its own is late by three seconds, in the login to a server whose connect_timeout is 2 s (MySQL 9 and MariaDB 10.11, plaintext and TLS:
[login_stalled_locally](causes.md#login_stalled_locally)), and, where it can be, in the dial, when TCP is connected and the server has greeted (the same name), between two rows (MySQL 9, net_write_timeout 1 s: [slow_reader](causes.md#slow_reader))
or in front of the read of an answer, with a readTimeout of 1 s (MySQL 9 and MariaDB 10.11: [read_too_late](causes.md#read_too_late)).

| what happens | how it is produced | named | what is said |
|---|---|---|---|
`

const pageFoot = `
A BeforeConnect that blocks for three seconds, before there is a connection, causes no report on either server, in plaintext and TLS (TestBlockingBeforeConnect).

## The server, asked afterwards

With ` + "`WithPostMortem`" + `, on MySQL 9 and MariaDB 10.11 (TestPostMortem):

- a statement that waits for a row lock: “the connection's thread is still there: Query for …”;
- a connection that was killed: “the connection's thread is gone”;
- a server that was killed: “did not answer: connection refused”;
- one that was restarted: “less than this connection was old: it was restarted”;
- one that takes longer than the limit: “no answer in time”.

## Tally

Of twenty runs each (SEQGUARD_PROOF_RUNS=20), on two CPUs that others used as well (load average 30 to 55), named and explained as above:

| | right |
|---|---|
| the login: stopped, throttled, a sleep, a lock; MySQL 9 and MariaDB 10.11, plaintext and TLS | 320 of 320 |
| the login: a callback of TLS, MariaDB 10.11 | 20 of 20 |
| between two rows: stopped, throttled, a sleep, a lock; MySQL 9 | 80 of 80 |
| in front of the read of an answer: the same; MySQL 9 and MariaDB 10.11 | 160 of 160 |
| the login: the garbage collector, the Go scheduler; the same servers, plaintext and TLS | 160 of 160 |
| the login: without a CPU; the same | 80 of 80 |
| the dial: without a CPU; the same | 80 of 80 |
| between two rows: the garbage collector, the Go scheduler; MySQL 9 | 40 of 40 |
| in front of the read of an answer: the same; MySQL 9 and MariaDB 10.11 | 80 of 80 |
| the network, the 19 rows and servers above | 380 of 380; what a busy machine did not give was made again |

When the process had no CPU, the dial itself returned late four times, by when MariaDB had reset the connection: then the error is the dial's own
([limits.md](limits.md)), and the run was made again.

` + "`cpu.stat`" + ` was that of version 1 of control groups in these runs (` + "`throttled_time`" + `). Version 2's (` + "`throttled_usec`" + `) is read from a fixture: a hierarchy of version 2 can be mounted on such a machine, but the
cpu controller belongs to the one of version 1, so its groups have no quota. Where it is mounted at /sys/fs/cgroup with its cpu controller, the same tests use it.

On a machine without network namespaces or without a control group that may be written, those tests are skipped and say how to get them; with SEQGUARD_REQUIRE_KERNEL=1 they fail.
`

// TestPage holds docs/proof-matrix.md against the faults.
func TestPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(pageHead)
	for _, f := range networkFaults {
		on := "scripted"
		if len(f.on) > 0 {
			on = strings.NewReplacer("mysql9", "MySQL 9", "mariadb1011", "MariaDB 10.11").Replace(strings.Join(f.on, ", "))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | [%s](causes.md#%[4]s) | %s |\n", f.name, f.how, on, f.slug, quoted(f.says))
	}
	b.WriteString(pageStalls)
	for _, s := range stalls {
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", s.name, s.how, s.want, quoted(s.says))
	}
	b.WriteString(pageFoot)
	if *updatePage {
		if err := os.WriteFile(pageFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(got), "\r\n", "\n") != b.String() {
		t.Errorf("%s is not what the faults say: go test ./test/testimony -run TestPage -update-page", pageFile)
	}
}

func quoted(says []string) string {
	if len(says) == 0 {
		return "nothing"
	}
	return "“" + strings.Join(says, "” … “") + "”"
}
