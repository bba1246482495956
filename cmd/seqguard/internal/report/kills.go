package report

import (
	"net"
	"sync"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// Kills are the connections that clients asked their servers to end, of the last
// seconds. The zero value is ready; its methods may be called concurrently.
type Kills struct {
	mu    sync.Mutex
	asked map[killedKey]conversation.Kill
}

type killedKey struct {
	server     string
	connection uint32
}

const (
	maxKills = 1024
	// killTakes is how long after it was asked for a connection may end by it.
	killTakes = 10 * time.Second
)

// Add notes that a connection to server is to be killed.
func (k *Kills) Add(server string, kill conversation.Kill) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asked == nil || len(k.asked) >= maxKills {
		k.asked = map[killedKey]conversation.Kill{}
	}
	k.asked[killedKey{server, kill.Connection}] = kill
}

// EventsEnded reports whether f is the end, by the server, of a stream of binlog
// events.
func EventsEnded(f *conversation.Finding) bool {
	e := &f.Evidence
	return e.Phase == session.PhaseEvents && e.Direction == session.FromServer && e.Stream != cause.StreamOpen
}

// Own reports whether f is the end of a stream of binlog events that its reader
// has had killed itself, from another connection. Such a stream has no end that
// one could ask for: a replica just leaves, and go-mysql's BinlogSyncer kills it.
func (k *Kills) Own(server string, f *conversation.Finding) bool {
	if !EventsEnded(f) {
		return false
	}
	client := &f.Evidence.Client
	k.mu.Lock()
	kill, ok := k.asked[killedKey{server, f.Connection}]
	k.mu.Unlock()
	return ok && f.Time.Sub(kill.Time) < killTakes && kill.By.User == client.User && host(kill.By.Address) == host(client.Address)
}

// host is the part of an address that a client's connections have in common.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}
