//go:build !unix

package proxy

import "net"

func each(c net.Conn, f func(p []byte) bool) error { return eachBuffered(c, f) }
