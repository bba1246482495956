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
	"regexp"
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

// usageError is that the command was called wrongly. It asks for the usage line.
type usageError string

func (e usageError) Error() string { return string(e) }

// wrong makes a usageError.
func wrong(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

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
			if args[1] != "version" {
				return unknown(std, args[1])
			}
		}
		_, _ = io.WriteString(std.out, overview())
		return 0
	case "version", "-version", "--version":
		if len(args) > 1 {
			_, _ = fmt.Fprintf(std.err, "seqguard: %s takes no argument, not %q\n", name, args[1])
			return 2
		}
		_, _ = fmt.Fprintln(std.out, versionLine())
		return 0
	case "":
		_, _ = io.WriteString(std.err, overview())
	default:
		return unknown(std, name)
	}
	return 2
}

func unknown(std streams, name string) int {
	_, _ = fmt.Fprintf(std.err, "seqguard: there is no command %q\n\n%s", name, overview())
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
	fmt.Fprintf(&b, "  seqguard %-10s %s\n", "version", "says which version this is, and from which commit it was built")
	b.WriteString("\n`seqguard COMMAND -h` explains a command and its flags.\n")
	return b.String()
}

func (c *command) run(ctx context.Context, args []string, std streams) int {
	fs := flag.NewFlagSet("seqguard "+c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // the whole help behind what is wrong would have that scroll away
	do := c.setup(fs)
	for _, a := range args {
		if a == "-h" || a == "-help" || a == "--help" {
			c.help(fs, std.out)
			return 0
		}
		if a == "--" {
			break
		}
	}
	err := misread(fs, fs.Parse(args))
	if err == nil {
		err = do(ctx, fs.Args(), std)
	}
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(std.err, "seqguard %s: %v\n", c.name, err)
	if !errors.As(err, new(usageError)) {
		return 1
	}
	_, _ = fmt.Fprintf(std.err, "usage: %s\n`seqguard %s -h` explains it.\n", c.usage, c.name)
	return 2
}

var ofFlag = regexp.MustCompile(` for flag -([a-z-]+): parse error$`)

// misread is what fs.Parse has said, with what its flag takes in the place of "parse error".
func misread(fs *flag.FlagSet, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if m := ofFlag.FindStringSubmatch(text); m != nil {
		takes := map[string]string{"time.Duration": "a duration with its unit, as 30s or 5m", "int": "a number", "bool": "true or false"}
		if v, ok := fs.Lookup(m[1]).Value.(flag.Getter); ok && takes[fmt.Sprintf("%T", v.Get())] != "" {
			text = strings.TrimSuffix(text, "parse error") + "it takes " + takes[fmt.Sprintf("%T", v.Get())]
		}
	}
	return usageError(text)
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
