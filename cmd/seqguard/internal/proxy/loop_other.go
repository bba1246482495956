//go:build !linux

package proxy

// Without epoll(7) each direction of a connection has a goroutine.

type loops struct{}

func (*loops) relay(*conn) bool { return false }

func (*loops) stop() {}

type link struct{}

func (*link) close() {}
