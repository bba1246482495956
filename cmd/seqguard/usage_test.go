package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/proxy"
)

// TestWrongCalls: what is wrong is said in the first line, by the name of the flag, and
// no page of help has it scroll away.
func TestWrongCalls(t *testing.T) {
	dir := t.TempDir()
	capture := filepath.Join(dir, "a.pcap")
	const header = "\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00"
	if err := os.WriteFile(capture, []byte(header), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, says string }{
		{"proxy -sever db:1", "flag provided but not defined: -sever"},
		{"proxy -server db:1 -grace 30", `invalid value "30" for flag -grace: it takes a duration with its unit`},
		{"proxy -server db:1 -history many", "for flag -history: it takes a number"},
		{"proxy -server db:1 -json=maybe", "for -json: "},
		{"proxy -server db:1 -grace -1s", "-grace takes 0s or more, not -1s"},
		{"proxy -server db:1 -key-wait -1s", "-key-wait takes"},
		{"proxy -server db:1 -dial-timeout 0s", "-dial-timeout takes more than 0s"},
		{"proxy -server db:1 -history 0", "-history takes 1 to 4096 packets, not 0"},
		{"proxy -server db:1 -max-connections -1", "-max-connections takes 0"},
		{"proxy -server db:99999", `"99999" is not a port`},
		{"proxy -server db:mysqlx-", `"mysqlx-" is not a port`},
		{"proxy -server mysql://db:3306", "is a URL"},
		{"proxy -server tcp(db:3306)", "without tcp( and )"},
		{"proxy -server db:1 -listen 127.0.0.1:99999", `-listen: "127.0.0.1:99999": "99999" is not a port`},
		{"proxy -server db:1 -http 8080", `-http: "8080" is neither host:port`},
		{"proxy -server db:1 -http /run/page", "-http takes host:port"},
		{"proxy -server localhost:3307 -listen 127.0.0.1:3307", "would connect to itself"},
		{"proxy -server 127.0.0.1:3307 -listen :3307", "would connect to itself"},
		{"proxy -server db:3307 -listen db:3307", "would connect to itself"},
		{"proxy -server /run/s -listen unix:/run/../run/s", "would connect to itself"},
		{"explain -prot 3307 " + capture, "not defined: -prot"},
		{"explain -port x " + capture, `"x" is not a port`},
		{"explain " + capture + " -json", "flags come before the capture: -json is behind"},
		{"explain -html " + capture + " " + capture, "the page would be written over it"},
		{"help porxy", `no command "porxy"`},
	} {
		var out, errs bytes.Buffer
		code := run(context.Background(), strings.Fields(c.args), streams{nil, &out, &errs})
		first, _, _ := strings.Cut(errs.String(), "\n")
		if code != 2 || !strings.Contains(first, c.says) || !strings.HasPrefix(first, "seqguard") || strings.Count(errs.String(), "\n") > 12 || out.Len() > 0 {
			t.Errorf("%s: status %d\n%s%s", c.args, code, &out, &errs)
		}
	}
	if b, err := os.ReadFile(capture); err != nil || string(b) != header {
		t.Errorf("the capture is %q by now, %v", b, err)
	}
}

// TestNotTheProxyItself: what only looks like it is another server.
func TestNotTheProxyItself(t *testing.T) {
	for _, c := range [][2]string{
		{"127.0.0.1:3307", "localhost:3306"},
		{"127.0.0.1:3306", "db:3306"},
		{":3306", "db:3306"},
		{"127.0.0.1:0", "127.0.0.1:0"},
		{"[::1]:3306", "127.0.0.1:3306"},
		{"/run/a", "/run/b"},
		{"127.0.0.1:3306", "/run/mysqld.sock"},
	} {
		f := proxyFlags{listen: c[0], tls: "passthrough"}
		cfg := soundConfig(c[1])
		if err := f.check(&cfg, nil); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// TestFailureNamesItsFile: status 1, and the flag or the file that it is about.
func TestFailureNamesItsFile(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pcap")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const terminate = "proxy -server db:1 -listen 127.0.0.1:0 -tls terminate "
	for _, c := range []struct{ args, says string }{
		{"explain " + empty, empty + ": no capture: it is empty"},
		{"explain docs_test.go", "docs_test.go: neither pcap nor pcapng"},
		{"explain " + dir, dir + ": is a directory"},
		{"explain -keylog /no/such/keys " + empty, "seqguard explain: -keylog: stat /no/such/keys"},
		{"explain -keylog " + empty + " " + empty, "seqguard explain: -keylog: " + empty + " holds no line"},
		{terminate + "-cert main.go -key main.go", "-cert main.go, -key main.go: "},
		{terminate + "-server-ca main.go", "-server-ca: main.go holds no certificate"},
		{terminate + "-server-ca /no/such/file", "-server-ca: open /no/such/file"},
		{terminate + "-cert-out /no/such/file", "-cert-out: open /no/such/file"},
	} {
		var out, errs bytes.Buffer
		if code := run(context.Background(), strings.Fields(c.args), streams{nil, &out, &errs}); code != 1 || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%s: status %d\n%s", c.args, code, &errs)
		}
	}
}

func soundConfig(server string) proxy.Config {
	return proxy.Config{Server: server, History: 64, DialTimeout: time.Second}
}
