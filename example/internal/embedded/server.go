// Package embedded starts a MySQL-compatible server inside the process, so that
// the examples need nothing but Go.
package embedded

import (
	"fmt"
	"io"
	"net"

	sqle "github.com/dolthub/go-mysql-server"
	"github.com/dolthub/go-mysql-server/memory"
	"github.com/dolthub/go-mysql-server/server"
	"github.com/dolthub/go-mysql-server/sql"
	"github.com/dolthub/go-mysql-server/sql/mysql_db"
	"github.com/sirupsen/logrus"
)

// Database is the one that every server has.
const Database = "shop"

// Server is a go-mysql-server whose data lives in memory.
type Server struct {
	Addr string // host:port on the loopback interface

	// Broken is how many violations the tests of Main provoke.
	Broken uint64

	engine *sqle.Engine
	server *server.Server
	done   chan struct{}
}

// Start starts a server on a free port. Without accounts everybody may log in.
func Start() (*Server, error) {
	// It logs each connection through logrus' global logger.
	logrus.SetOutput(io.Discard)

	// Off at its start, as in MySQL; LOAD DATA LOCAL needs it. Set here and not
	// by SET GLOBAL: a server reads its settings while others may be starting.
	if err := sql.SystemVariables.SetGlobal(sql.NewEmptyContext(), "local_infile", int8(1)); err != nil {
		return nil, fmt.Errorf("embedded server: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	provider := memory.NewDBProvider(memory.NewDatabase(Database))
	engine := sqle.NewDefault(provider)
	// Without an address it would look for a socket file of its own.
	cfg := server.Config{Protocol: "tcp", Address: l.Addr().String(), Listener: l}
	s, err := server.NewServer(cfg, engine, sql.NewContext, memory.NewSessionBuilder(provider), nil)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("embedded server: %w", err)
	}
	out := &Server{Addr: l.Addr().String(), engine: engine, server: s, done: make(chan struct{})}
	go func() {
		defer close(out.done)
		_ = s.Start() // until Close
	}()
	return out, nil
}

// DSN is for user and password, or for anybody if the server has no accounts.
func (s *Server) DSN(user, password string) string {
	return fmt.Sprintf("%s:%s@tcp(%s)/%s?parseTime=true", user, password, s.Addr, Database)
}

// Account makes user the owner of the password; from the first account on the
// server asks for passwords. An account that exists gets the new one.
func (s *Server) Account(user, password string) {
	db := s.engine.Analyzer.Catalog.MySQLDb
	ed := db.Editor()
	defer ed.Close()
	ed.RemoveUser(mysql_db.UserPrimaryKey{Host: "%", User: user})
	db.AddEphemeralSuperUser(ed, user, "%", password)
}

// Close stops the server.
func (s *Server) Close() {
	_ = s.server.Close()
	<-s.done
	_ = s.engine.Close()
}
