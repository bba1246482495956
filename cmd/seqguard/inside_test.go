//go:build unix

package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const insideArgs = "SEQGUARD_TEST_ARGS"

// TestMainInside is the command itself, in the process that inside makes.
func TestMainInside(t *testing.T) {
	args, inside := os.LookupEnv(insideArgs)
	if !inside {
		return // no test of its own
	}
	os.Args = append([]string{"seqguard"}, strings.Fields(args)...)
	main()
}

// inside is the command with these arguments as a process of its own, not started yet.
func inside(ctx context.Context, args string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestMainInside$")
	cmd.Env = append(os.Environ(), insideArgs+"="+args)
	return cmd
}

// listensOn returns where a proxy says, in its first line, that it listens.
func listensOn(t *testing.T, says *bufio.Reader) string {
	t.Helper()
	line, err := says.ReadString('\n')
	_, rest, _ := strings.Cut(line, "seqguard proxy: ")
	addr, _, ok := strings.Cut(rest, " →")
	if !ok {
		t.Fatalf("%q, %v", line, err)
	}
	return addr
}
