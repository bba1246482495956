//go:build !race

package seqguard_test

const raceEnabled = false
