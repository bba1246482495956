// Package simulation holds no code, only tests: the real pool, the guard and go-sql-driver in bubbles of testing/synctest, against
// peers in memory that break on order. docs/simulation.md says what that proves.
package simulation
