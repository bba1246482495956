package mysqltest

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// RouterServer is a MySQL Router in front of a server; each address treats the traffic in its own way.
type RouterServer struct {
	Pass  string // host:port: passes the bytes through as they are
	Split string // parses every packet and makes it anew; TLS with the router's own certificate
	Share string // the same, and many clients share server connections
}

// Router starts a MySQL Router in front of backend that ends with the test; skips it loudly where there is none.
func Router(t testing.TB, backend *Instance) *RouterServer {
	t.Helper()
	scripts := scriptsDir()
	if !cached("router") || scripts == "" {
		missing(t, "MySQL Router", "scripts/servers.sh fetch router")
	}
	if backend.Net != "tcp" || backend.TLS == "" {
		t.Skip("NOT TESTED: the router needs a server started by the test, not one of SEQGUARD_TEST_SERVERS")
	}
	template, err := os.ReadFile(filepath.Join(scripts, "router.conf"))
	if err != nil {
		t.Fatal(err)
	}
	plugins, err := filepath.EvalSymlinks(filepath.Join(cacheDir(), "router", "bin", "plugins"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	var ports [3]string
	for i := range ports {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = strconv.Itoa(port)
	}
	config := strings.NewReplacer("@DIR@", dir, "@PLUGINS@", plugins, "@BACKEND@", backend.Addr, "@TLS@", backend.TLS,
		"@PORT_PASS@", ports[0], "@PORT_SPLIT@", ports[1], "@PORT_SHARE@", ports[2]).Replace(string(template))
	file := filepath.Join(dir, "router.conf")
	if err := errors.Join(os.WriteFile(file, []byte(config), 0o644), giveToServer(dir)); err != nil {
		t.Fatal(err)
	}
	p, err := startProcess(filepath.Join(dir, "out.log"), []string{"ROUTER_PID=" + filepath.Join(dir, "router.pid")},
		filepath.Join(cacheDir(), "router", "bin", "mysqlrouter"), "-c", file)
	if err != nil {
		t.Fatalf("mysqltest: starting the router: %v", err)
	}
	t.Cleanup(func() {
		p.kill()
		os.RemoveAll(dir)
	})
	r := &RouterServer{Pass: "127.0.0.1:" + ports[0], Split: "127.0.0.1:" + ports[1], Share: "127.0.0.1:" + ports[2]}
	for _, addr := range []string{r.Pass, r.Split, r.Share} {
		err := p.waitUntil(time.Minute, func() error {
			_, err := greetingVersion("tcp", addr)
			return err
		})
		if err != nil {
			log, _ := os.ReadFile(filepath.Join(dir, "router.log"))
			t.Fatalf("mysqltest: MySQL Router: %v\n%s", err, log)
		}
	}
	return r
}
