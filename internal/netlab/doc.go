// Package netlab is, for tests, a network that breaks on order: two network
// namespaces of the kernel with one wire between them. TCP on both ends is the
// kernel's; what passes over the wire is delayed, dropped or refused as a test
// says, by the wire or by nftables in the server's namespace.
//
// It needs Linux, root (CAP_SYS_ADMIN and CAP_NET_ADMIN), /dev/net/tun and the
// programs ip and nft; without them New skips the test and says how to get them.
// Nothing of it can be seen outside of the two namespaces, and they end with the
// process.
package netlab
