// Package reassemble makes the two streams of bytes of each connection out of
// captured TCP segments.
//
// A capture is not what either end saw: segments are missing from it, came twice,
// or stand in another order. Two rules bring them back into one. The bytes of one
// direction come in the order of their sequence numbers, once. And a segment that
// acknowledges bytes of the other direction comes after those bytes, because its
// sender had them: question and answer keep their order even if the capture swapped
// them.
//
// Bytes that one end acknowledged and the capture does not have are a gap. It is
// told, never guessed over. Bytes that nobody acknowledged are waited for, because
// their sender will send them again.
//
// What waits is bounded for a connection and for all of them, and so is their number.
package reassemble
