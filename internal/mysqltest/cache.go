package mysqltest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// cacheDir is where scripts/servers.sh puts what it fetches; the same rule as in scripts/lib.sh.
func cacheDir() string {
	if dir := os.Getenv("SEQGUARD_CACHE"); dir != "" {
		return dir
	}
	if os.Getuid() == 0 {
		return "/var/cache/mysql-seqguard"
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".cache", "mysql-seqguard")
}

// scriptsDir finds scripts/ of the module that the test belongs to: tests run in the folder of their package. "" if there is none.
func scriptsDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "scripts", "servers.sh")); err == nil {
			return filepath.Join(dir, "scripts")
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// cached tells whether the cache has a server. The version file is written last, when all the rest is there.
func cached(name string) bool {
	_, err := os.Stat(filepath.Join(cacheDir(), name, "version"))
	return err == nil
}

var adoption sync.Mutex

// adopt brings a server that is installed on the machine into the cache (a data folder to copy, starters); it downloads nothing.
// Several test binaries may try at once: an exclusive folder makes one of them do it.
func adopt(name string) bool {
	adoption.Lock()
	defer adoption.Unlock()
	if cached(name) {
		return true
	}
	scripts := scriptsDir()
	if scripts == "" || runtime.GOOS != "linux" {
		return false
	}
	cmd := exec.Command("flock", filepath.Join(os.TempDir(), "mysql-seqguard-"+name+".lock"),
		"bash", filepath.Join(scripts, "servers.sh"), "fetch", name)
	cmd.Env = append(os.Environ(), "SEQGUARD_OFFLINE=1", "SEQGUARD_CACHE="+cacheDir())
	out, err := cmd.CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("nothing may be downloaded")) {
		os.Stderr.Write(out)
	}
	return err == nil && cached(name)
}

// missing skips a test, loudly: what is not tested, and how to get what it takes. With SEQGUARD_REQUIRE_SERVERS=1 it fails.
func missing(t testing.TB, what, how string) {
	t.Helper()
	if os.Getenv("SEQGUARD_REQUIRE_SERVERS") == "1" {
		t.Fatalf("%s is not on this machine, and SEQGUARD_REQUIRE_SERVERS=1. Get it with: %s", what, how)
	}
	t.Skipf("NOT TESTED on %s: it is not on this machine. Get it with: %s", what, how)
}

// Program returns the folder with the starters of a program that scripts/servers.sh fetches and that is no server of MySQL. what names it
// for people. A test without it is skipped, loudly.
func Program(t testing.TB, name, what string) string {
	t.Helper()
	if !cached(name) && !adopt(name) {
		missing(t, what, "scripts/servers.sh fetch "+name)
	}
	return filepath.Join(cacheDir(), name, "bin")
}
