// Package adopt holds the lines of docs/adopt.md as tests: how each library gets
// a guarded connection. Its own module keeps the libraries out of the example's.
// Folder byname has the libraries, and the calls, that take no other name than
// "mysql".
//
// The tests need MariaDB or another server of internal/mysqltest.
package adopt
