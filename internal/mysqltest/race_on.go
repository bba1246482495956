//go:build race

package mysqltest

// Race tells whether the race detector is on, which makes everything several times slower.
const Race = true
