// Package doors holds the tests of the ways in: every way in which a program that uses go-sql-driver/mysql comes to a guarded
// connection, and what it notices. The numbers are those of the faults that the tests keep out (kind 5, "drop-in has
// exceptions").
package doors
