//go:build race

package wire

// sync.Pool drops objects at random under the race detector.
const tlsUnderRace = true
