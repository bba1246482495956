// Package mysqldial looks a network up where mysql.RegisterDialContext put it.
//
// A program registers a dial function with go-sql-driver, often for "tcp"
// itself (an SSH tunnel, a cloud connector), and the driver looks it up at each
// connect. A guarded connection must be dialed by the same function: another
// one may reach another server. The driver has no call that returns what was
// registered, and does not look into its registry when Config.DialFunc is set,
// so this package reads the driver's two variables.
//
// The linker does not object when a variable of that name is gone: it makes a
// new one, which stays empty. [Lookup] therefore checks once, by a registration
// of its own, that it sees what the driver sees, and fails for good if not.
package mysqldial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	_ "unsafe" // for go:linkname

	"github.com/go-sql-driver/mysql"
)

//go:linkname dialsLock github.com/go-sql-driver/mysql.dialsLock
var dialsLock sync.RWMutex

//go:linkname dials github.com/go-sql-driver/mysql.dials
var dials map[string]mysql.DialContextFunc

// probe is a network that nobody dials.
const probe = "seqguard registry check"

// ErrUnreadable is the error of Lookup when the driver keeps its registry
// elsewhere.
var ErrUnreadable = errors.New("seqguard: this version of github.com/go-sql-driver/mysql keeps the dial functions of mysql.RegisterDialContext " +
	"where seqguard cannot find them, and a connection dialed past them may reach another server; " +
	"use a version of the driver that this version of seqguard was tested with, or set mysql.Config.DialFunc")

// Lookup returns the function that is registered for network, nil if there is
// none. The error, which is [ErrUnreadable] wrapped, is the same at every call.
func Lookup(network string) (mysql.DialContextFunc, error) {
	if err := readable(); err != nil {
		return nil, err
	}
	return lookup(network), nil
}

func lookup(network string) mysql.DialContextFunc {
	dialsLock.RLock()
	defer dialsLock.RUnlock()
	return dials[network]
}

var readable = sync.OnceValue(func() error { return check(lookup) })

// check reports whether find sees what is registered with the driver.
func check(find func(network string) mysql.DialContextFunc) (err error) {
	mysql.RegisterDialContext(probe, func(context.Context, string) (net.Conn, error) { return nil, net.ErrClosed })
	defer mysql.DeregisterDialContext(probe)
	// A variable of another type under the same name can fault when it is read
	// as a map: that, too, should end in the error that explains it.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w (%v)", ErrUnreadable, p)
		}
	}()
	dial := find(probe)
	if dial == nil {
		return ErrUnreadable
	}
	if _, err := dial(context.Background(), ""); err != net.ErrClosed {
		return ErrUnreadable
	}
	return nil
}
