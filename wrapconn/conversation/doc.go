// Package conversation follows what two sides say to each other on one MySQL
// connection, and knows what it means.
//
// Its input is what happened: bytes with their direction and time
// ([Conversation.Bytes]), how a side ended ([Conversation.End]), a write that
// failed, secrets of TLS, bytes that a capture has lost. Its output is packets
// (Config.OnPacket), the state of the conversation ([Conversation.State]), and
// findings: violations with the evidence for their cause ([Conversation.Take]).
//
// The package does no I/O, reads no clock, takes no lock and starts no
// goroutine, so a guarded connection, a proxy and the reader of a capture can all
// use it. Times are durations since Config.Start.
//
// # Concurrency
//
// All methods of a Conversation must be called from one goroutine at a time. A
// Finding and a Packet are the caller's.
package conversation
