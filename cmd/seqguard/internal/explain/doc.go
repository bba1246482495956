// Package explain finds the MySQL connections in a capture and says what happened
// on them.
package explain
