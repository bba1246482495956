package mysqltest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Kind is the family of a server.
type Kind string

// The two families.
const (
	MySQL   Kind = "mysql"
	MariaDB Kind = "mariadb"
)

// Instance is a real server: one that was started here, or (External) one of SEQGUARD_TEST_SERVERS.
//
// Accounts: root without password (from this machine), gotest/secret, tlsonly/secret (must use TLS), mtls/secret (must show a
// client certificate), all with all rights; database gotest. More: scripts/servers.sh.
type Instance struct {
	Name     string // mysql9, mariadb1011, mariadb118; an external one's as given
	Kind     Kind
	Version  string // of its greeting, such as 9.7.4 or 10.11.19-MariaDB
	Net      string // "tcp", or "unix" of an external server
	Addr     string // host:port
	Socket   string // path of the unix socket; "" if not known
	TLS      string // folder with {ca,server,client}.{pem,key}; "" if not known
	External bool   // not ours: it cannot be stopped, and its options are what they are

	dir     string
	options []string
	process *process
}

// DSN leads to the database gotest as gotest/secret; params are of the form "a=b&c=d", or empty.
func (i *Instance) DSN(params string) string { return i.DSNFor("gotest", "secret", params) }

// RootDSN is DSN as root.
func (i *Instance) RootDSN(params string) string { return i.DSNFor("root", "", params) }

// DSNFor is DSN for an account.
func (i *Instance) DSNFor(user, password, params string) string {
	return dsn(account(user, password), i.Net, i.Addr, "gotest", params)
}

// SocketDSN is DSN by way of the unix socket.
func (i *Instance) SocketDSN(params string) string {
	return dsn("gotest:secret", "unix", i.Socket, "gotest", params)
}

func account(user, password string) string {
	if password == "" {
		return user
	}
	return user + ":" + password
}

// Start starts a private server, ended with the test, with more options of mysqld ("--connect-timeout=2"). A server that the
// machine does not have skips the test. The name is one of [Names].
func Start(t testing.TB, name string, options ...string) *Instance {
	t.Helper()
	if !cached(name) && !adopt(name) {
		missing(t, describe(name), "scripts/servers.sh fetch "+name)
	}
	i, err := start(name, options)
	if err != nil {
		t.Fatalf("mysqltest: %s: %v", name, err)
	}
	t.Cleanup(i.remove)
	return i
}

// Require skips the test, loudly, if the machine does not have that server. A server that subtests share is started for their parent,
// and a subtest cannot skip its parent.
func Require(t testing.TB, name string) {
	t.Helper()
	if !cached(name) && !adopt(name) {
		missing(t, describe(name), "scripts/servers.sh fetch "+name)
	}
}

// start copies the initialised data folder of the cache and starts the server on it.
func start(name string, options []string) (*Instance, error) {
	dir, err := privateDir()
	if err != nil {
		return nil, err
	}
	i := &Instance{Name: name, Kind: MariaDB, Net: "tcp", dir: dir, options: options,
		Socket: filepath.Join(dir, "s.sock"), TLS: filepath.Join(dir, "tls")}
	if strings.HasPrefix(name, "mysql") {
		i.Kind = MySQL
	}
	err = errors.Join(
		os.CopyFS(dir, os.DirFS(filepath.Join(cacheDir(), name, "template"))),
		os.MkdirAll(filepath.Join(dir, "tmp"), 0o755),
		giveToServer(dir),
	)
	if err == nil {
		err = i.run()
	}
	if err != nil {
		i.remove()
		return nil, err
	}
	return i, nil
}

// run starts the program, on the port it had before if it had one.
func (i *Instance) run() error {
	const attempts = 3 // somebody else may take the free port first
	fixed := i.Addr != ""
	var err error
	for range attempts {
		if !fixed {
			port, err := FreePort()
			if err != nil {
				return err
			}
			i.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		}
		_, port, _ := net.SplitHostPort(i.Addr)
		args := append(serverOptions(i.Kind, i.dir, port), i.options...)
		i.process, err = startProcess(filepath.Join(i.dir, "out.log"), nil, filepath.Join(cacheDir(), i.Name, "bin", "mysqld"), args...)
		if err != nil {
			return err
		}
		err = i.process.waitUntil(60*time.Second, func() (err error) {
			i.Version, err = greetingVersion("unix", i.Socket)
			return err
		})
		if err == nil {
			return nil
		}
		i.process.kill()
		if fixed || !bytes.Contains([]byte(i.Log()), []byte("in use")) {
			break
		}
	}
	return fmt.Errorf("%w; the end of its log:\n%s", err, i.Log())
}

// Log is the end of the server's error log.
func (i *Instance) Log() string {
	var b []byte
	for _, name := range []string{"out.log", "error.log"} {
		log, _ := os.ReadFile(filepath.Join(i.dir, name))
		b = append(b, log...)
	}
	return string(b[max(0, len(b)-4000):])
}

// Stop shuts the server down in an orderly way (SIGTERM) and waits.
func (i *Instance) Stop() {
	if i.process != nil {
		i.process.stop()
	}
}

// Kill ends the server at once (SIGKILL), as a crash does.
func (i *Instance) Kill() {
	if i.process != nil {
		i.process.kill()
	}
}

// Restart starts a server again, on the same data and port; stopped before if it still runs. Options, if given, replace those of
// the start.
func (i *Instance) Restart(t testing.TB, options ...string) {
	t.Helper()
	if i.External {
		t.Fatalf("mysqltest: %s is not ours to restart", i.Name)
	}
	i.Stop()
	if options != nil {
		i.options = options
	}
	if err := i.run(); err != nil {
		t.Fatalf("mysqltest: restarting %s: %v", i.Name, err)
	}
}

// remove ends the server and removes its data. Nobody needs the data: no orderly shutdown.
func (i *Instance) remove() {
	i.Kill()
	if i.dir != "" {
		os.RemoveAll(i.dir)
	}
}

var shared struct {
	sync.Mutex
	instances map[string]*sharedInstance
}

type sharedInstance struct {
	once     sync.Once
	instance *Instance
	err      error
}

// Shared is the server of that name that all tests of the binary use: started when it is first asked for, ended by [StopAll].
// A running one of SEQGUARD_TEST_SERVERS takes its place. Tests must not change its global settings.
func Shared(t testing.TB, name string) *Instance {
	t.Helper()
	for _, ext := range externals(t) {
		if matches(ext, name) {
			return ext
		}
	}
	if !cached(name) && !adopt(name) {
		missing(t, describe(name), "scripts/servers.sh fetch "+name)
	}
	shared.Lock()
	s := shared.instances[name]
	if s == nil {
		if shared.instances == nil {
			shared.instances = map[string]*sharedInstance{}
		}
		s = &sharedInstance{}
		shared.instances[name] = s
	}
	shared.Unlock()
	s.once.Do(func() { s.instance, s.err = start(name, nil) })
	if s.err != nil {
		t.Fatalf("mysqltest: %s: %v", name, s.err)
	}
	return s.instance
}

// StopAll ends the shared servers.
func StopAll() {
	shared.Lock()
	defer shared.Unlock()
	for name, s := range shared.instances {
		if s.instance != nil {
			s.instance.remove()
		}
		delete(shared.instances, name)
	}
}

// Main is a whole TestMain: it runs the tests and ends the shared servers. What must hold at the end of them all is in checks: an
// error of one fails the run.
func Main(m *testing.M, checks ...func() error) {
	code := m.Run()
	StopAll()
	for _, check := range checks {
		if err := check(); err != nil {
			fmt.Fprintln(os.Stderr, "FAIL:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// greetingVersion connects and reads the server's version out of its greeting: the zero-terminated text after the protocol's
// number. MySQL manual, "Protocol::HandshakeV10". It is also how a server is known to be ready.
func greetingVersion(network, addr string) (string, error) {
	conn, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(conn)
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return "", err
	}
	if head[4] != 10 {
		return "", fmt.Errorf("the server at %s does not greet: first byte %#02x", addr, head[4])
	}
	version, err := r.ReadString(0)
	if err != nil {
		return "", err
	}
	// MariaDB 10 puts this before its version, for old clients that compare versions.
	return strings.TrimPrefix(strings.TrimSuffix(version, "\x00"), "5.5.5-"), nil
}
