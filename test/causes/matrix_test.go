package causes_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

var updateMatrix = flag.Bool("update-matrix", false, "write docs/causes-matrix.md anew")

// causeColumn is where a cause is produced: on a real server, or a scripted one.
type causeColumn string

const (
	colMySQL   causeColumn = "MySQL 9"
	colMariaDB causeColumn = "MariaDB 10.11"
	colScript  causeColumn = "scripted"
)

var causeColumns = []causeColumn{colMySQL, colMariaDB, colScript}

func (c *causeCase) in(col causeColumn) bool {
	switch col {
	case colMySQL:
		return slices.Contains(c.on, mysqltest.MySQL)
	case colMariaDB:
		return slices.Contains(c.on, mysqltest.MariaDB)
	}
	return c.by == byScript
}

// cell says how a cause is produced there, nothing if it is not.
func cell(slug cause.Slug, col causeColumn, m causeMode) string {
	var by []string
	for i := range causeCases {
		c := &causeCases[i]
		if c.slug == slug && c.in(col) && slices.Contains(c.modes, m) && !slices.Contains(by, string(c.by)) {
			by = append(by, string(c.by))
		}
	}
	return strings.Join(by, ", ")
}

// gap says why cells are empty.
type gap struct {
	slug  cause.Slug
	cols  []causeColumn
	modes []causeMode
	why   string
}

var (
	realColumns = []causeColumn{colMySQL, colMariaDB}

	insideTLS   = "The fault is put in by a relay or below the driver's TLS, and neither can write into it. The scripted server can."
	belowTLS    = "The faulty client is made of the driver and a layer below it, where TLS and compression have been applied already."
	innerNumber = "Within the compressed protocol the packets' numbers mean nothing, because servers disagree on them. So a wrong number is no sign, and an ERR is the answer to its command."
)

const heldGap = "Nothing fails, so there is no error. Tests of test/testimony produce it on both servers."

var gaps = []gap{
	{"pool_exhausted", causeColumns, everyMode, heldGap},
	{"rows_never_closed", causeColumns, everyMode, heldGap},
	{"held_too_long", causeColumns, everyMode, heldGap},
	{"abandoned", causeColumns, everyMode, "The error is the plain driver's and does not name it. Tests of test/delivery produce it on both servers."},
	{"read_nothing_due", causeColumns, everyMode, "Client and server must understand an answer differently: test/contained has go-sql-driver and MariaDB's cached metadata."},
	{"client_left", causeColumns, everyMode, "The driver does not report its own end of a connection. A test of wrapconn/conversation has another client's."},
	{"not_mysql", realColumns, everyMode, "These servers speak the MySQL protocol on their port."},
	{"login_delayed_on_the_way", []causeColumn{colMariaDB}, []causeMode{plain, compressed}, "Without TLS MariaDB resets the connection when connect_timeout is over and says nothing: `login_unanswered`, with this as an alternative."},
	{"login_unreadable", []causeColumn{colMariaDB}, []causeMode{plain, compressed}, "Without TLS MariaDB closes without an ERR: `login_unanswered`."},
	{"tls_failed", causeColumns, []causeMode{plain, compressed}, "There is no TLS."},
	{"auth_plugin_mismatch", []causeColumn{colMySQL}, everyMode, "go-sql-driver has every plugin that the free edition of MySQL 9 has, and none of them is switched off by default."},
	{"peer_misnumbers_handshake", realColumns, []causeMode{secure}, insideTLS},
	{"proxy_refusal_misnumbered", realColumns, []causeMode{secure}, insideTLS},
	{"idle_timeout", []causeColumn{colMariaDB}, everyMode, "MariaDB resets the connection without a word, as balancers do: `closed_while_idle`, with this as an alternative, unless it was idle for the 8 h of wait_timeout's default."},
	{"connection_killed", realColumns, everyMode, "Both close a killed connection without an ERR, idle or not: `closed_while_idle`, `closed_before_answer`. Older releases, and proxies, say why."},
	{"server_farewell", realColumns, everyMode, "The farewells that these servers have are the rows above. Others are a proxy's."},
	{"used_after_fork", causeColumns, everyMode, "A Go program cannot fork without exec, and a socket that is passed on arrives without its connection. A test of wrapconn gives the connection another process."},
	{"stale_answer", causeColumns, []causeMode{secure}, belowTLS},
	{"stale_answer", []causeColumn{colScript}, []causeMode{compressed}, belowTLS},
	{"continued_after_error", realColumns, everyMode, "Neither does this. go-mysql-server 0.20 does."},
	{"continued_after_error", []causeColumn{colScript}, []causeMode{compressed}, innerNumber},
	{"unsolicited_packet", realColumns, []causeMode{secure}, insideTLS},
	{"mismatched_answer", realColumns, []causeMode{secure}, insideTLS},
	{"mismatched_answer", realColumns, []causeMode{compressed}, innerNumber},
	{"packet_too_large", []causeColumn{colScript}, []causeMode{compressed}, innerNumber},
	{"split_packet_misnumbered", causeColumns, []causeMode{secure, compressed}, belowTLS},
	{"renumbered_on_the_way", realColumns, []causeMode{secure}, "Only the request for TLS can be renumbered, and that is tls_failed; what follows is inside TLS."},
	{"client_misnumbered", causeColumns, []causeMode{secure, compressed}, belowTLS},
	{"upload_interrupted", []causeColumn{colMariaDB}, everyMode, "MariaDB ends the connection without an ERR: `local_infile_aborted`."},
	{"upload_interrupted", []causeColumn{colScript}, []causeMode{compressed}, innerNumber},
	{"compression_corrupt", causeColumns, []causeMode{plain, secure}, "There is no compression."},
	{"peer_misnumbers_results", realColumns, []causeMode{secure}, insideTLS},
	{"peer_misnumbers_results", realColumns, []causeMode{compressed}, "The relay renumbers only packets. The scripted server misnumbers a frame."},
	{"not_prepared", realColumns, []causeMode{secure}, insideTLS},
	{"malformed_packet", realColumns, []causeMode{secure}, insideTLS},
	{"undetermined", realColumns, everyMode, "If a real server were known to do it, it would have a name."},
}

// why returns the reason for an empty cell.
func why(slug cause.Slug, col causeColumn, m causeMode) string {
	for _, g := range gaps {
		if g.slug == slug && slices.Contains(g.cols, col) && slices.Contains(g.modes, m) {
			return g.why
		}
	}
	return ""
}

// TestCausesMatrix fails for a cell that is empty without a reason, or has a reason and is not, and holds docs/causes-matrix.md
// against the table of cases. A case that is declared is run by TestCauses.
func TestCausesMatrix(t *testing.T) {
	var reasons []string
	var table strings.Builder
	table.WriteString("| cause |")
	rule := "|---|"
	for _, col := range causeColumns {
		for _, m := range causeModes {
			fmt.Fprintf(&table, " %s, %s |", col, modeNames[m])
			rule += "---|"
		}
	}
	table.WriteString("\n" + rule + "\n")
	for _, slug := range cause.Slugs() {
		fmt.Fprintf(&table, "| [%s](causes.md#%s) |", slug, slug)
		for _, col := range causeColumns {
			for _, m := range causeModes {
				text, reason := cell(slug, col, m), why(slug, col, m)
				switch {
				case text == "" && reason == "":
					t.Errorf("%s, %s, %s: no case, and no reason why", slug, col, modeNames[m])
				case text != "" && reason != "":
					t.Errorf("%s, %s, %s: a reason why there is no case, but there is one", slug, col, modeNames[m])
				case text == "":
					n := slices.Index(reasons, reason)
					if n < 0 {
						n = len(reasons)
						reasons = append(reasons, reason)
					}
					text = fmt.Sprintf("(%d)", n+1)
				}
				fmt.Fprintf(&table, " %s |", text)
			}
		}
		table.WriteString("\n")
	}
	page := matrixHead + table.String() + "\nWhy a cell is empty:\n\n"
	for i, r := range reasons {
		page += fmt.Sprintf("%d. %s\n", i+1, r)
	}
	page += routerHead + routerTable()

	const file = "../../docs/causes-matrix.md"
	if *updateMatrix {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(have), "\r\n", "\n") != page {
		t.Errorf("%s is not what the cases say; go test -run TestCausesMatrix -update-matrix ./test/causes writes it anew", file)
	}
}

const matrixHead = `# Where the causes were produced

Each cell is a test that produces the cause on purpose and checks its name, its severity, whether the statement was executed,
whether a retry is safe, and that the error has the facts. TestCausesMatrix makes this page from the cases that TestCauses runs.

- *server*: a real server did it of its own accord.
- *relay*: something between the client and a real server did it.
- *client*: a real server, and a client with a fault.
- *script*: a scripted server did it.

`
