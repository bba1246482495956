// Package ddtrace holds the line of docs/adopt.md about dd-trace, in a module of
// its own because of what dd-trace brings along.
package ddtrace
