// Package proxy stands between MySQL clients and a server, passes on every byte,
// half-close, reset and pause as it is, and looks.
//
// On Linux connections are relayed by loops with epoll (loop_linux.go), elsewhere, and where TLS ends here, by two
// goroutines each (relay.go). What a loop calls must not wait for anybody.
package proxy
