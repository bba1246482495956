//go:build race

package wire

// Under the race detector the scripts of TLS are fewer: each takes much longer there.
const tlsUnderRace = true
