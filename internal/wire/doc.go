// Package wire turns the bytes of one MySQL connection into packets.
//
// It is fed the slices that Read returned and Write was given, in whatever
// pieces they come: any split of the same bytes gives the same packets. It
// looks at packet headers and at the first few bytes of a payload and skips
// the rest, and it keeps no reference to a slice after the call that brought
// it.
//
// The layers of a connection are stacked as on the wire:
//
//	bytes ─▶ TLS records (optional) ─▶ compressed frames (optional) ─▶ packets
//
// Each layer is a [Sink]: the layer below asks what it wants to see next and
// hands on only that. [Reader] is the last one and calls a [Handler].
//
// A wrapconn.Conn does the stacking. Use this package by itself only to look at
// bytes that do not pass through one, such as those of a capture.
//
// # Concurrency
//
// Nothing here locks. The two directions of a connection are independent
// readers; whoever feeds them serialises the calls (wrapconn.Conn does so with
// one mutex a connection).
package wire
