//go:build !race

package wire

const tlsUnderRace = false
