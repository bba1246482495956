// Package asmysql gives the name "mysql" to the guarded driver. A blank import
// is enough, for example in a new file of package main:
//
//	import _ "github.com/seqguard/mysql-seqguard/asmysql"
//
// Every sql.Open("mysql", dsn) of the program is guarded then, in libraries too.
// This is for programs that you cannot change, and for libraries with a fixed list
// of driver names. The plain driver is still there, as "mysql-plain".
//
// The guard has its default options; parameters of the DSN such as
// seqguardMode=observe work. For other options use go-sql-driver's own switch and a
// registration instead of this import:
//
//	go build -ldflags "-X github.com/go-sql-driver/mysql.driverName=mysql-plain"
//
//	func init() { seqguard.Register("mysql", seqguard.WithMode(seqguard.Observe)) }
//
// # When it cannot work
//
// The program ends at its start, with a panic that says why, if something else
// is registered as "mysql". A package (other than main) that calls
// sql.Open("mysql", dsn) while it is initialized may do so before this package is.
// It gets the error that there is no driver "mysql", and no unguarded connection.
//
// Connectors that the program makes itself (mysql.NewConnector,
// mysql.MySQLDriver) have no name and are not affected: see seqguard.NewConnector
// and seqguard.Guard.
package asmysql

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"

	seqguard "github.com/seqguard/mysql-seqguard"
	// Initialized before go-sql-driver, wherever it stands here.
	"github.com/seqguard/mysql-seqguard/asmysql/internal/rename"
)

// Name is the name that the guarded driver takes.
const Name = "mysql"

// PlainName is where the unguarded driver is found, unless the program was
// linked with another name for it.
const PlainName = rename.Plain

func init() {
	if slices.Contains(sql.Drivers(), Name) {
		if d := registered(Name); !guarded(d) {
			panic(taken(d))
		}
		return // by seqguard.Register
	}
	seqguard.Register(Name)
}

// registered returns the driver of a name, nil if it does not show itself.
func registered(name string) driver.Driver {
	db, err := sql.Open(name, "/")
	if err != nil {
		return nil
	}
	defer db.Close()
	return db.Driver()
}

func guarded(d driver.Driver) bool {
	switch d.(type) {
	case *seqguard.Driver, seqguard.Driver:
		return true
	}
	return false
}

// taken says why the name cannot be had.
func taken(d driver.Driver) string {
	const remedy = `; take the import of asmysql out and call sql.Open(seqguard.DriverName, dsn), or see https://github.com/seqguard/mysql-seqguard/blob/main/docs/adopt.md#the-name`
	if fmt.Sprintf("%T", d) == "*mysql.MySQLDriver" {
		return `seqguard/asmysql: go-sql-driver/mysql has registered itself as "mysql" before this package could rename it: ` +
			`this version of it does not use the variable driverName any more, or this toolchain initializes packages in another order` + remedy
	}
	if d == nil {
		return `seqguard/asmysql: another package has registered a driver as "mysql"` + remedy
	}
	return fmt.Sprintf(`seqguard/asmysql: another package has registered a %T as "mysql"`, d) + remedy
}
