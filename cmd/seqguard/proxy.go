package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/keylog"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/proxy"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/telemetry"
)

var proxyCommand = command{
	name:  "proxy",
	short: "stands in front of a server and says what goes wrong on the connections through it",
	usage: "seqguard proxy -listen 127.0.0.1:3307 -server db:3306 [flags]",
	long: `Proxy accepts MySQL clients, connects each to the server, and passes on every byte,
half-close, reset and pause unchanged. It never edits the server's greeting, so client and
server agree on what they would agree on without it. Bytes that are not MySQL pass, too. The
proxy follows the protocol and reports on the standard error what went wrong: what happened,
what caused it, and what to do. Point the client at the proxy's address; nothing else changes.

TLS:
  -tls passthrough   Client and server speak TLS with each other. The proxy sees the packets
                     only if the client writes its TLS secrets to a file (SSLKEYLOGFILE=F in
                     its environment, or a setting of its own) and -keylog F names that file.
                     The proxy waits for secrets that come late. If it cannot see a
                     connection, the reports say so.
  -tls terminate     TLS ends at the proxy, which makes a TLS connection of its own to the
                     server. Clients that check the certificate must know the proxy's. Give
                     one with -cert and -key, or let the proxy make one and write it to a file
                     with -cert-out; the client takes that file as its CA. Clients that log in
                     with a client certificate cannot use this mode, nor can clients that check
                     the server's certificate by the password (MariaDB 11.4).

Reports go to the standard error as text. With -json they also go to the standard output, one
object a line, and with -http to a page. If OTEL_EXPORTER_OTLP_ENDPOINT is set, each violation
becomes a span. Its parent is the client's span if the client's statements carry a traceparent
in a comment or a query attribute, unencrypted. No report has statements or data.

SIGTERM ends the proxy gracefully: it accepts no new connections and closes idle ones. Those
within a command or a transaction get the time of -grace, and so do those whose packets are
not seen. A second signal ends it at once.

Flags:
`,
	after: `Examples:
  seqguard proxy -listen 127.0.0.1:3307 -server db.example:3306
  seqguard proxy -listen :3307 -server db:3306 -tls terminate -cert-out proxy-ca.pem
  seqguard proxy -listen /tmp/mysql.sock -server /run/mysqld/mysqld.sock -json >violations.jsonl
  SSLKEYLOGFILE=/tmp/keys my-client … ; seqguard proxy -listen :3307 -server db:3306 -keylog /tmp/keys

Exit status: 0 after SIGTERM or SIGINT; 1 if it could not go on; 2 if the command was not
understood.
`,
	setup: proxySetup,
}

// proxyFlags are the flags that are no field of a proxy.Config.
type proxyFlags struct {
	listen, tls, cert, key, certOut, serverCA, keylog, http string
	json                                                    bool
}

func proxySetup(fs *flag.FlagSet) func(context.Context, []string, streams) error {
	var f proxyFlags
	var c proxy.Config
	fs.StringVar(&f.listen, "listen", "127.0.0.1:3307", "accept clients at `address`: host:port, or the path of a Unix socket")
	fs.StringVar(&c.Server, "server", "", "the server's `address`: host:port, or the path of a Unix socket")
	fs.StringVar(&f.tls, "tls", "passthrough", "`what` to do with TLS: passthrough or terminate")
	fs.StringVar(&f.cert, "cert", "", "certificate `file` (PEM) for -tls terminate, with its chain")
	fs.StringVar(&f.key, "key", "", "`file` with the key of -cert")
	fs.StringVar(&f.certOut, "cert-out", "", "with -tls terminate and no -cert: write the certificate that the proxy makes to\n`file`, for the clients' CA setting")
	fs.StringVar(&f.serverCA, "server-ca", "", "with -tls terminate: check the server's certificate against the CAs in `file`;\nwithout it, it is not checked")
	fs.StringVar(&f.keylog, "keylog", "", "`file` into which clients write the secrets of their TLS (SSLKEYLOGFILE)")
	fs.DurationVar(&c.KeyWait, "key-wait", 5*time.Second, "how long to wait for the secrets of a connection in -keylog, a `duration`")
	fs.StringVar(&f.http, "http", "", "serve the live page at `address`")
	fs.BoolVar(&f.json, "json", false, "write one JSON object a line to the standard output for each violation")
	fs.IntVar(&c.Header, "proxy-protocol", 0, "send the server a PROXY protocol header of `version` 1 or 2, so that it knows the\nclient's address; the server must expect it; 0 for none")
	fs.IntVar(&c.Max, "max-connections", 0, "accept at most `n` connections at once, and answer others with ERR 1040; 0 for no\nlimit")
	fs.DurationVar(&c.DialTimeout, "dial-timeout", 10*time.Second, "how long to try to reach the server, a `duration`")
	fs.DurationVar(&c.Grace, "grace", 30*time.Second, "how long a connection that is busy may go on after SIGTERM, a `duration`")
	fs.IntVar(&c.History, "history", 64, "`n` packets to keep of each connection for reports")
	return func(ctx context.Context, args []string, std streams) error {
		if err := f.check(&c, args); err != nil {
			return err
		}
		return f.run(ctx, &c, std)
	}
}

func (f *proxyFlags) check(c *proxy.Config, args []string) error {
	switch {
	case len(args) > 0:
		return wrong("unexpected argument %q", args[0])
	case c.Server == "":
		return wrong("-server is missing")
	case f.tls != "passthrough" && f.tls != "terminate":
		return wrong("-tls takes passthrough or terminate, not %q", f.tls)
	case (f.cert == "") != (f.key == ""):
		return wrong("-cert and -key go together")
	case f.tls == "passthrough" && (f.cert != "" || f.certOut != "" || f.serverCA != ""):
		return wrong("-cert, -key, -cert-out and -server-ca are for -tls terminate")
	case f.tls == "terminate" && f.keylog != "":
		return wrong("-keylog is for -tls passthrough; with -tls terminate the packets are seen anyway")
	case f.serverCA != "" && isPath(c.Server):
		return wrong("-server-ca checks the server's name, and a socket has none: give -server as host:port")
	case f.cert != "" && f.certOut != "":
		return wrong("-cert-out writes the certificate that the proxy makes; it does not go with -cert")
	case c.Header < 0 || c.Header > 2:
		return wrong("-proxy-protocol takes 0, 1 or 2")
	case c.Max < 0:
		return wrong("-max-connections takes 0 (no limit) or more, not %d", c.Max)
	case c.History < 1 || c.History > 4096:
		return wrong("-history takes 1 to 4096 packets, not %d", c.History)
	case c.Grace < 0:
		return wrong("-grace takes 0s or more, not %v", c.Grace)
	case c.KeyWait < 0:
		return wrong("-key-wait takes 0s or more, not %v", c.KeyWait)
	case c.DialTimeout <= 0:
		return wrong("-dial-timeout takes more than 0s, not %v", c.DialTimeout)
	case f.http != "" && isPath(f.http):
		return wrong("-http takes host:port, not %q", f.http)
	}
	for _, a := range []struct{ name, address string }{{"-listen", f.listen}, {"-server", c.Server}, {"-http", f.http}} {
		if a.address == "" && a.name == "-http" {
			continue
		}
		if err := proxy.CheckAddress(a.address); err != nil {
			return wrong("%s: %v", a.name, err)
		}
	}
	if proxy.Same(f.listen, c.Server) {
		return wrong("-server %s is where -listen accepts: the proxy would connect to itself, over and over", c.Server)
	}
	return nil
}

func isPath(address string) bool {
	network, _ := proxy.Network(address)
	return network == "unix"
}

// run is the proxy from its start to its end.
func (f *proxyFlags) run(ctx context.Context, c *proxy.Config, std streams) error {
	var mu sync.Mutex // of std.err
	c.Log = func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintf(std.err, "%s "+format+"\n", append([]any{time.Now().Format("2006-01-02 15:04:05.000")}, args...)...)
	}
	seen, err := f.setTLS(c)
	if err != nil {
		return err
	}
	if f.keylog != "" {
		c.Keys = keylog.Follow(f.keylog)
	}
	sender, err := telemetry.FromEnvironment(ctx)
	if err != nil {
		return fmt.Errorf("OpenTelemetry: %w", err)
	}
	if sender != nil {
		defer func() {
			end, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer stop()
			_ = sender.Close(end)
		}()
	}
	// The end of who reads the reports must not be the end of the connections.
	signal.Ignore(syscall.SIGPIPE)
	var broken bool // the standard output
	c.OnReport = func(v *report.Violation) {
		c.Log("#%d %s", v.Number, v.Line())
		if f.json {
			err := v.JSON(std.out)
			if err != nil && !broken {
				c.Log("-json: violations cannot be written to the standard output: %v", err)
			}
			broken = err != nil
		}
		if sender != nil {
			sender.Send(v)
		}
	}
	if os.Getenv("GOGC") == "" {
		// Passing bytes on makes no garbage, so collecting often costs little; what
		// thousands of idle connections take is what matters.
		debug.SetGCPercent(30)
	}
	l, err := proxy.Listen(f.listen)
	if err != nil {
		return err
	}
	p := proxy.New(*c)
	if c.Keys != nil {
		run, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		go c.Keys.Run(run)
	}
	if f.http != "" {
		page, err := f.serve(p)
		if err != nil {
			_ = l.Close()
			return err
		}
		defer func() { _ = page.Close() }()
		c.Log("live page: http://%s/", page.Addr())
	}
	c.Log("seqguard proxy: %s → %s; %s", l.Addr(), c.Server, seen)
	err = p.Serve(ctx, l)
	p.Farewell()
	return err
}

// setTLS prepares for TLS and says what will be seen of it.
func (f *proxyFlags) setTLS(c *proxy.Config) (seen string, err error) {
	if f.tls == "passthrough" {
		if f.keylog == "" {
			return "TLS is passed through, and its packets are not seen (see -keylog and -tls terminate)", nil
		}
		return f.checkKeyLog()
	}
	c.ServerTLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} // as a client that prefers TLS, but does not insist on who it is
	if f.serverCA != "" {
		pem, err := os.ReadFile(f.serverCA)
		if err != nil {
			return "", fmt.Errorf("-server-ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return "", fmt.Errorf("-server-ca: %s holds no certificate in PEM form", f.serverCA)
		}
		host, _, _ := net.SplitHostPort(c.Server)
		c.ServerTLS = &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return "", fmt.Errorf("-cert %s, -key %s: %w", f.cert, f.key, err)
		}
		c.Terminate = &pair
		return "TLS ends here, with the certificate in " + f.cert, nil
	}
	pair, pem, err := proxy.SelfMade(f.listen)
	if err != nil {
		return "", err
	}
	c.Terminate = pair
	seen = "TLS ends here, with a certificate made for this run (SHA-256 " + proxy.Fingerprint(pair) + "); clients that check certificates "
	if f.certOut == "" {
		return seen + "will refuse it: turn the check off (mysql --ssl-mode=REQUIRED, Go tls=skip-verify, PyMySQL ssl_verify_cert=False), or use -cert-out or -cert", nil
	}
	if err := os.WriteFile(f.certOut, pem, 0o644); err != nil {
		return "", fmt.Errorf("-cert-out: %w", err)
	}
	return seen + "need " + f.certOut + " as their CA (mysql --ssl-ca, Go tls.Config.RootCAs, PyMySQL ssl_ca)", nil
}

// checkKeyLog says what is wrong with the key log file, which need not be there yet.
func (f *proxyFlags) checkKeyLog() (seen string, err error) {
	seen = "TLS is passed through, and seen with the secrets in " + f.keylog
	switch fi, err := os.Stat(f.keylog); {
	case errors.Is(err, fs.ErrNotExist):
		return seen + " (which is not there yet)", nil
	case err != nil:
		return "", fmt.Errorf("-keylog: %w", err)
	case !fi.Mode().IsRegular():
		return "", fmt.Errorf("-keylog: %s is no regular file", f.keylog)
	}
	file, err := os.Open(f.keylog)
	if err != nil {
		return "", fmt.Errorf("-keylog: %w", err)
	}
	return seen, file.Close()
}

// page is the server of the live page.
type pageServer struct {
	http.Server
	l net.Listener
}

func (s *pageServer) Addr() string { return s.l.Addr().String() }

func (f *proxyFlags) serve(p *proxy.Proxy) (*pageServer, error) {
	l, err := net.Listen("tcp", f.http)
	if err != nil {
		return nil, fmt.Errorf("-http: %w", err)
	}
	s := &pageServer{l: l}
	s.Handler = p.Handler()
	s.ReadHeaderTimeout = 10 * time.Second
	go func() { _ = s.Serve(l) }()
	return s, nil
}
