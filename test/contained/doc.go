// Package contained has the tests of faults that must not become the user's: of
// a connection that behaves as none should, and of the guard itself.
package contained
