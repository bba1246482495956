package mysqltest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Step is one thing a scripted server does on a connection.
type Step interface {
	Run(*Session) error
}

// step is a Step with a name for messages.
type step struct {
	name string
	run  func(*Session) error
}

func (s step) Run(ses *Session) error { return s.run(ses) }
func (s step) String() string         { return s.name }

// Do makes a Step of a function.
func Do(name string, run func(*Session) error) Step { return step{name, run} }

// Steps makes one Step of several.
func Steps(steps ...Step) Step {
	return Do("Steps", func(s *Session) error {
		for _, st := range steps {
			if err := st.Run(s); err != nil {
				return fmt.Errorf("%v: %w", st, err)
			}
		}
		return nil
	})
}

// Greeting sends the first packet of a server, with sequence id 0.
func Greeting(o GreetingOptions) Step {
	if o.Capabilities == 0 {
		o.Capabilities = DefaultCapabilities
	}
	return Do("Greeting", func(s *Session) error {
		s.Offered = o.Capabilities
		return s.WritePacket(0, GreetingPayload(o))
	})
}

// ExpectLogin reads the login and notes the capabilities agreed on. Any user and password will do.
func ExpectLogin() Step { return Do("ExpectLogin", (*Session).readLogin) }

// Login is a whole login: greeting, the client's login, OK. With mysql_native_password the client proves its password in the
// login itself, so there is no further round. MySQL manual, "Connection Phase".
func Login(o GreetingOptions) Step { return Steps(Greeting(o), ExpectLogin(), SendOK(Next)) }

// UpgradeTLS reads the client's SSLRequest (a login cut off after its 32nd byte) and starts TLS; the login comes next, inside it.
// MySQL manual, "Protocol::SSLRequest". The greeting must have offered CapSSL.
func UpgradeTLS(config *tls.Config) Step {
	return Do("UpgradeTLS", func(s *Session) error {
		if err := s.readLogin(); err != nil {
			return err
		}
		if s.Capabilities&CapSSL == 0 || len(s.Payload) != 32 {
			return errors.New("the client did not ask for TLS")
		}
		conn := tls.Server(s.Conn, config)
		conn.SetDeadline(time.Now().Add(ioTimeout))
		s.Conn = conn
		return conn.Handshake()
	})
}

// SendOK sends an OK packet that tells nothing; seq may be [Next], here and below.
func SendOK(seq int) Step { return SendPacket(seq, OKPayload(0, 0, StatusAutocommit, 0)) }

// SendERR sends an ERR packet.
func SendERR(seq int, code uint16, state, message string) Step {
	return SendPacket(seq, ERRPayload(code, state, message))
}

// SendPacket sends a payload with a sequence id that may be any.
func SendPacket(seq int, payload []byte) Step {
	return Do("SendPacket", func(s *Session) error { return s.WritePacket(seq, payload) })
}

// SendRaw sends bytes as they are, with no packet header put before them.
func SendRaw(b []byte) Step {
	return Do("SendRaw", func(s *Session) error { return s.WriteRaw(b) })
}

// SendResultSet sends a result set, see [Session.WriteResultSet].
func SendResultSet(seq int, columns []Column, rows ...[]any) Step {
	return Do("SendResultSet", func(s *Session) error { return s.WriteResultSet(seq, columns, rows...) })
}

// SendResultSetMore sends a result set after which another one follows (SERVER_MORE_RESULTS_EXISTS).
func SendResultSetMore(seq int, columns []Column, rows ...[]any) Step {
	return Do("SendResultSetMore", func(s *Session) error {
		return s.writeResultSet(seq, StatusAutocommit|StatusMoreResults, columns, rows)
	})
}

// ExpectPacket reads one packet, whatever it is.
func ExpectPacket() Step { return Do("ExpectPacket", (*Session).ReadPacket) }

// ExpectCommand reads a command: its first byte must be cmd (MySQL manual, "enum_server_command") and its sequence id 0.
func ExpectCommand(cmd byte) Step {
	return Do(fmt.Sprintf("ExpectCommand(%#02x)", cmd), func(s *Session) error {
		if err := s.ReadPacket(); err != nil {
			return err
		}
		if len(s.Payload) == 0 || s.Payload[0] != cmd || s.Seq != 0 {
			return fmt.Errorf("the client sent % x (id %d)", s.Payload[:min(len(s.Payload), 8)], s.Seq)
		}
		return nil
	})
}

// ExpectClose waits until the client has closed the connection; a COM_QUIT before it is welcome.
func ExpectClose() Step {
	return Do("ExpectClose", func(s *Session) error {
		err := s.ReadPacket()
		if err == nil && len(s.Payload) == 1 && s.Payload[0] == ComQuit {
			err = s.ReadPacket()
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
			return nil
		case err == nil:
			return fmt.Errorf("the client sent % x (id %d) instead", s.Payload[:min(len(s.Payload), 8)], s.Seq)
		default:
			return err
		}
	})
}

// Delay waits.
func Delay(d time.Duration) Step {
	return Do("Delay", func(s *Session) error { return s.sleep(d) })
}

// WaitFor waits until the channel is closed or sends something: the test says when the script goes on.
func WaitFor(c <-chan struct{}) Step {
	return Do("WaitFor", func(s *Session) error {
		select {
		case <-c:
			return nil
		case <-s.stop:
			return errors.New("the test ended first")
		case <-time.After(ioTimeout):
			return os.ErrDeadlineExceeded
		}
	})
}

// Signal closes the channel: the script tells the test how far it is. For a script that runs once.
func Signal(c chan<- struct{}) Step {
	return Do("Signal", func(*Session) error { close(c); return nil })
}

// CloseWrite ends the server's direction only (FIN); the client can still send.
func CloseWrite() Step {
	return Do("CloseWrite", func(s *Session) error {
		c, ok := s.Conn.(interface{ CloseWrite() error })
		if !ok {
			return fmt.Errorf("a %T cannot be closed in one direction", s.Conn)
		}
		return c.CloseWrite()
	})
}

// Reset ends the connection with an RST: SO_LINGER with a time of 0 makes close(2) throw away what is unsent (socket(7)).
// MariaDB ends a login that takes too long in this way.
func Reset() Step {
	return Do("Reset", func(s *Session) error {
		c, ok := s.Conn.(*net.TCPConn)
		if !ok {
			return fmt.Errorf("a %T cannot be reset", s.Conn)
		}
		return errors.Join(c.SetLinger(0), c.Close())
	})
}

// Close ends the connection. If the client's bytes were all read it sees a FIN, otherwise an RST.
func Close() Step { return Do("Close", func(s *Session) error { return s.Conn.Close() }) }

// ServeForever hands every command to handler until the client quits or closes. The handler writes the whole answer, with
// [Next] as the first id.
func ServeForever(handler func(s *Session, cmd byte, body []byte) error) Step {
	return Do("ServeForever", func(s *Session) error {
		for {
			// A client may be idle for as long as the test lasts.
			s.idle(true)
			err := s.readPacket(time.Time{})
			s.idle(false)
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) {
				return nil
			}
			if err != nil {
				return err
			}
			if len(s.Payload) == 0 {
				return errors.New("the client sent an empty command")
			}
			if s.Payload[0] == ComQuit {
				return nil
			}
			if err := handler(s, s.Payload[0], s.Payload[1:]); err != nil {
				return err
			}
		}
	})
}

// AnswerOK is a handler for [ServeForever]: OK to everything.
func AnswerOK(s *Session, _ byte, _ []byte) error {
	return s.WritePacket(Next, OKPayload(0, 0, StatusAutocommit, 0))
}

// Commands. MySQL manual, "enum_server_command".
const (
	ComQuit            = 0x01
	ComInitDB          = 0x02
	ComQuery           = 0x03
	ComPing            = 0x0e
	ComStmtPrepare     = 0x16
	ComStmtExecute     = 0x17
	ComStmtClose       = 0x19
	ComResetConnection = 0x1f
)
