// Seqguard says what went wrong on MySQL connections of clients in any language: as
// a proxy in front of a server, or from a capture.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// command is one of those that seqguard has.
type command struct {
	name  string
	short string
	usage string // the line behind "usage:"
	long  string // what -h teaches, before the flags
	after string // and behind them
	setup func(fs *flag.FlagSet) func(ctx context.Context, args []string, std streams) error
}

type streams struct {
	in       io.Reader
	out, err io.Writer
}

// errUsage asks for the usage line.
var errUsage = errors.New("usage")

var commands = []*command{&explainCommand, &proxyCommand}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal has its usual effect: it ends the process
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run is main without the process. It returns the exit status: 0, 1 if it failed,
// 2 if it was called wrongly.
func run(ctx context.Context, args []string, std streams) int {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	for _, c := range commands {
		if c.name == name {
			return c.run(ctx, args[1:], std)
		}
	}
	switch name {
	case "-h", "-help", "--help", "help":
		if len(args) > 1 {
			for _, c := range commands {
				if c.name == args[1] {
					return c.run(ctx, []string{"-h"}, std)
				}
			}
		}
		_, _ = io.WriteString(std.out, overview())
		return 0
	case "":
		_, _ = io.WriteString(std.err, overview())
	default:
		_, _ = fmt.Fprintf(std.err, "seqguard: there is no command %q\n\n%s", name, overview())
	}
	return 2
}

func overview() string {
	var b strings.Builder
	b.WriteString(`seqguard says what went wrong on MySQL connections: who did what, what the server
really said, what caused it, and what to do. It works for clients in any language.

`)
	for _, c := range commands {
		fmt.Fprintf(&b, "  seqguard %-10s %s\n", c.name, c.short)
	}
	b.WriteString("\n`seqguard COMMAND -h` explains a command and its flags.\n")
	return b.String()
}

func (c *command) run(ctx context.Context, args []string, std streams) int {
	fs := flag.NewFlagSet("seqguard "+c.name, flag.ContinueOnError)
	fs.SetOutput(std.err)
	do := c.setup(fs)
	fs.Usage = func() { c.help(fs, fs.Output()) }
	for _, a := range args {
		if a == "-h" || a == "-help" || a == "--help" {
			c.help(fs, std.out)
			return 0
		}
		if a == "--" {
			break
		}
	}
	if err := fs.Parse(args); err != nil {
		return 2
	}
	switch err := do(ctx, fs.Args(), std); {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		_, _ = fmt.Fprintf(std.err, "%v\nusage: %s\n`seqguard %s -h` explains it.\n", err, c.usage, c.name)
		return 2
	default:
		_, _ = fmt.Fprintf(std.err, "seqguard %s: %v\n", c.name, err)
		return 1
	}
}

// help prints what the command does, and its flags.
func (c *command) help(fs *flag.FlagSet, w io.Writer) {
	_, _ = fmt.Fprintf(w, "usage: %s\n\n%s\n", c.usage, c.long)
	fs.SetOutput(w)
	fs.VisitAll(func(f *flag.Flag) {
		name, text := flag.UnquoteUsage(f)
		line := "  -" + f.Name
		if name != "" {
			line += " " + name
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			text += " (default " + f.DefValue + ")"
		}
		_, _ = fmt.Fprintf(w, "%s\n        %s\n", line, strings.ReplaceAll(text, "\n", "\n        "))
	})
	if c.after != "" {
		_, _ = fmt.Fprintf(w, "\n%s", c.after)
	}
}
