// Package testimony asks the kernel and the runtime what they know at the
// moment of a failure: of a TCP connection, whether the other side has
// acknowledged what was written; of this process, what kept it from running.
//
// Nothing here is called for a connection in order, and nothing waits. What is
// read are counters: of a socket (getsockopt TCP_INFO), of this process
// (/proc/self, its control group, /proc/pressure) and of the Go runtime
// (runtime/metrics). Where a system does not have them, or they may not be read,
// the answer says that they are not known.
package testimony
