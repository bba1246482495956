// Package rename makes go-sql-driver give up the name "mysql", at run time, as
// the linker flag that the driver documents does at build time:
//
//	-ldflags "-X github.com/go-sql-driver/mysql.driverName=mysql-plain"
//
// It must be initialized before the driver, which registers its name then. That
// it is follows from the Go specification ("Package initialization"): the
// packages are sorted by import path, and the next one is always the first
// whose imports are initialized. This package imports nothing, so it is ready
// from the start; the driver waits for net, os, sync and others, whose paths
// come later in the alphabet than this one's. It must stay without imports.
//
// Package asmysql checks that it worked.
package rename

import _ "unsafe" // for go:linkname; not a package that is initialized

// Plain is the name under which the unguarded driver is registered instead.
const Plain = "mysql-plain"

//go:linkname driverName github.com/go-sql-driver/mysql.driverName
var driverName string

func init() {
	// Another value is a choice made with the linker flag.
	if driverName == "mysql" {
		driverName = Plain
	}
}
