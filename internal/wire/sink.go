package wire

// Sink takes a stream of bytes of which most need not be seen.
//
// A layer below that can produce any part of the stream cheaply (a TLS record
// in a stream cipher mode) asks Wants and calls Skip and Feed accordingly; a
// layer that has the bytes anyway just calls Feed.
type Sink interface {
	// Wants reports how many of the coming bytes may be skipped and how many
	// after those must then be fed. want is at least 1; a sink may ask again
	// after it has seen them.
	Wants() (skip, want int)
	// Skip tells the sink that the next n bytes passed unseen. n is at most
	// the skip that Wants reported.
	Skip(n int)
	// Feed gives the sink the next bytes, whether it wants or would skip
	// them, and returns how many it took. It takes all of them unless one of
	// them ended its part of the stream (TLS or compression starts behind
	// it); the rest belongs to whatever comes next.
	Feed(b []byte) int
}

var _ Sink = (*Reader)(nil)
