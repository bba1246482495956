// Package proxy stands between MySQL clients and a server, passes on every byte,
// half-close, reset and pause as it is, and looks.
package proxy
