package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/capture"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/explain"
)

var explainCommand = command{
	name:  "explain",
	short: "reads a capture (pcap, pcapng) and says what happened on its MySQL connections",
	usage: "seqguard explain [-keylog F] [-port 3306] [-packets [-rows] [-sql]] [-json | -html F] FILE|-",
	long: `Explain reads a capture file, or with "-" one that is being written, and finds the MySQL
connections in it, on any port. It prints one line of summary for each connection and a report
for each violation of the protocol: what happened, what caused it, what to do, and the last
packets. Tables of causes and of clients come at the end.

It reads Ethernet, VLAN, Linux "any", loopback and raw IP, IPv4 and IPv6. It puts segments
that came out of order, twice or overlapping back in order. If the capture lost bytes, it says
so and claims nothing about them. It works out from the TCP handshakes where the capture was
taken. At the server's end a client that pauses and a slow network look the same, and the
report says so.

Encrypted connections are seen with the secrets that the client writes if the environment
variable SSLKEYLOGFILE names a file, or with secrets inside the capture. It shows no data, and
the texts of statements only with -sql.

Flags:
`,
	after: `Examples:
  tcpdump -i any -w last-night.pcap tcp port 3306      # then:
  seqguard explain last-night.pcap
  seqguard explain -html report.html last-night.pcap   # to attach to a ticket
  tcpdump -i any -U -w - tcp port 3306 | seqguard explain -
  seqguard explain -json c.pcapng | jq -r .cause | sort | uniq -c

Exit status: 0 if the capture was read, whatever was in it; 1 if it could not be read; 2 if
the command was not understood.
`,
	setup: func(fs *flag.FlagSet) func(context.Context, []string, streams) error {
		var o explain.Options
		o.Ports = []uint16{3306}
		fs.StringVar(&o.KeyLog, "keylog", "", "key log `file` with the secrets of TLS connections, as SSLKEYLOGFILE makes clients write it;\nwith \"-\" as the capture it is read as it grows")
		fs.Var((*portList)(&o.Ports), "port", "treat these `ports` (with commas between them) as MySQL's even if neither greeting nor\nlogin is in the capture")
		fs.BoolVar(&o.Packets, "packets", false, "list all packets: time since the connection was made, direction, sequence id, kind, length;\na run of rows is one line")
		fs.BoolVar(&o.Rows, "rows", false, "with -packets, list each row")
		fs.BoolVar(&o.SQL, "sql", false, "with -packets, show the texts of statements, where they are not encrypted or compressed")
		fs.BoolVar(&o.JSON, "json", false, "write one JSON object a line for each violation, with -packets for each packet, too,\nand nothing else")
		fs.StringVar(&o.HTML, "html", "", "write one self-contained page into `file`")
		return func(ctx context.Context, args []string, std streams) error {
			switch {
			case len(args) > 1 && slices.ContainsFunc(args[1:], isFlag):
				return wrong("flags come before the capture: %s is behind %s", args[1+slices.IndexFunc(args[1:], isFlag)], args[0])
			case len(args) != 1:
				return wrong("one capture is needed, there are %d", len(args))
			case o.JSON && o.HTML != "":
				return wrong("-json and -html exclude each other")
			case (o.Rows || o.SQL) && !o.Packets:
				return wrong("-rows and -sql go with -packets")
			case o.SQL && (o.JSON || o.HTML != ""):
				return wrong("-sql is for the text; -json and -html show no statements")
			case o.Packets && o.HTML != "":
				return wrong("-packets is for the text and -json; the page of -html has a timeline of each connection")
			}
			var in io.Reader = std.in
			if o.Live = args[0] == "-"; !o.Live {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer func() { _ = f.Close() }()
				in, o.Name = f, args[0]
			}
			if o.HTML != "" {
				if err := overwrites(o.HTML); err != nil {
					return err
				}
			}
			_, err := explain.Run(ctx, in, std.out, o)
			return err
		}
	},
}

// isFlag tells a flag from the name of a file and from "-".
func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

// overwrites is an error if the page would be written over a capture: with "-html *.pcap" the shell gives -html
// the first one.
func overwrites(page string) error {
	if fi, err := os.Stat(page); err != nil || !fi.Mode().IsRegular() {
		return nil // it is made, or is a pipe or a device, which loses nothing
	}
	f, err := os.Open(page)
	if err != nil {
		return nil // it is not written either, or there is no capture in it that could be read
	}
	defer func() { _ = f.Close() }()
	if capture.Is(f) {
		return wrong("-html %s: that is a capture, and the page would be written over it", page)
	}
	return nil
}

// portList is a flag of ports with commas between them.
type portList []uint16

func (p *portList) String() string {
	s := make([]string, len(*p))
	for i, n := range *p {
		s[i] = strconv.Itoa(int(n))
	}
	return strings.Join(s, ",")
}

func (p *portList) Set(v string) error {
	*p = nil
	for s := range strings.SplitSeq(v, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("%q is not a port", s)
		}
		*p = append(*p, uint16(n))
	}
	return nil
}
