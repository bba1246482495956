package proxy

import "sync"

// bufferSize: a TLS record has up to 16 KiB, a loopback segment up to 64.
const bufferSize = 64 << 10

// buffers are held only while bytes pass: an idle connection has none.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}
