// Package callers records where a call comes from, cheaply enough to do it for
// every query.
//
// [runtime.Callers] looks every frame up in the tables of the linker, which
// after a round trip over the network are no longer in the processor's caches:
// 4 to 7 µs under database/sql. Where the compiler keeps frame pointers (amd64
// and arm64, on every operating system), the return addresses can be read from
// the stack instead: one chain of loads. What they mean is found out when
// somebody asks, by [runtime.CallersFrames].
//
// The runtime has such a walk for its own profiles and does not export it, and
// frame pointers are a convention that foreign assembly may break. So each step
// of the walk here is checked: a frame pointer must be aligned, lie within the
// stack of the goroutine, and lie above the one before. A broken chain gives a
// short list, or one with a wrong entry; it cannot read outside the stack and
// it cannot go on for ever. [Frames] then names what is code and drops the rest.
//
// Build with the tag purego to do without assembly; Record is runtime.Callers
// then, as it is on other architectures.
package callers
