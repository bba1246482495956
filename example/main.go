// Command example breaks connections to a MySQL server in a dozen ways and shows
// what an application sees of it: through go-sql-driver/mysql, and through
// mysql-seqguard.
//
//	go run .                        all scenarios, on a server inside the process
//	go run . -list                  their names
//	go run . -run 'login|stale' -v  some of them, with the errors in full
//	go run . -dsn user:password@tcp(127.0.0.1:3306)/test
//
// With OTEL_EXPORTER_OTLP_ENDPOINT set (and OTEL_EXPORTER_OTLP_PROTOCOL, which is
// http/protobuf or grpc) the spans are sent there; -stdout prints them.
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
	"time"

	"github.com/seqguard/mysql-seqguard/example/internal/telemetry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := demo(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

// demo is the program.
func demo(ctx context.Context, args []string, w io.Writer) (err error) {
	flags := flag.NewFlagSet("example", flag.ContinueOnError)
	run := flags.String("run", "", "run the scenarios whose names match this regular `expression`")
	list := flags.Bool("list", false, "list the scenarios")
	verbose := flags.Bool("v", false, "print errors, advice and timelines in full")
	dsn := flags.String("dsn", "", "use this server, by a `DSN` of go-sql-driver/mysql, in place of the embedded one")
	stdout := flags.Bool("stdout", false, "print the spans")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*run)
	if err != nil {
		return err
	}
	if *list {
		for _, s := range chosen {
			name := s.name
			for _, l := range wrap(s.title, width-15) {
				fmt.Fprintf(w, "%-14s %s\n", name, l)
				name = ""
			}
		}
		return nil
	}

	var spans io.Writer
	if *stdout {
		spans = w
	}
	shutdown, err := telemetry.Start(ctx, "mysql-seqguard-example", spans)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, shutdown(ctx))
	}()

	t, closeTarget, err := newTarget(ctx, *dsn)
	if err != nil {
		return err
	}
	defer closeTarget()
	p := &printer{w: w, color: colorful(w), verbose: *verbose}
	p.opening(len(chosen), *dsn == "")
	failed, named, skipped := 0, 0, 0
	for _, c := range compareAll(ctx, t, chosen) {
		c := <-c
		p.comparison(&c)
		switch {
		case c.err != nil:
			failed++
		case c.skipped != "":
			skipped++
		case c.guarded.report() != nil:
			named++
		}
	}
	p.closing(len(chosen), named, skipped)
	if failed > 0 {
		return fmt.Errorf("%d of %d scenarios could not be run", failed, len(chosen))
	}
	return nil
}

// choose returns the scenarios whose names match.
func choose(expr string) ([]*scenario, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	var out []*scenario
	for i := range scenarios {
		if re.MatchString(scenarios[i].name) {
			out = append(out, &scenarios[i])
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("-run %q: no scenario of that name; -list lists them", expr)
	}
	return out, nil
}

// compareAll starts all scenarios at once, since most of their time is spent
// waiting. Each has its channel, so that they can be shown in order.
func compareAll(ctx context.Context, t *target, chosen []*scenario) []chan comparison {
	out := make([]chan comparison, len(chosen))
	for i, s := range chosen {
		out[i] = make(chan comparison, 1)
		go func() { out[i] <- s.compare(ctx, t) }()
	}
	return out
}

// colorful reports whether w is a terminal that wants colours.
func colorful(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
