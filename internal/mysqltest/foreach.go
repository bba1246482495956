package mysqltest

import (
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Names are the servers that everything is tested on.
var Names = []string{"mysql9", "mariadb1011", "mariadb118"}

// describe names a server for people.
func describe(name string) string {
	switch name {
	case "mysql9":
		return "MySQL 9"
	case "mariadb1011":
		return "MariaDB 10.11"
	case "mariadb118":
		return "MariaDB 11.8"
	}
	return name
}

// ForEachServer runs a subtest on each of [Names] (the shared instance), and on all other servers of SEQGUARD_TEST_SERVERS.
//
// That variable is a comma-separated list of running servers, "name=account@tcp(host:port)" or "name=account@unix(path)". They
// need the accounts and the database of [Instance]; the account in the list is for the reader only. One whose version fits takes
// the place of the instance that would be started.
func ForEachServer(t *testing.T, test func(*testing.T, *Instance)) {
	t.Helper()
	for _, name := range Names {
		t.Run(name, func(t *testing.T) { test(t, Shared(t, name)) })
	}
	for _, ext := range externals(t) {
		if !matchesAny(ext) {
			t.Run(ext.Name, func(t *testing.T) { test(t, ext) })
		}
	}
}

// ForEachServerBeside is [ForEachServer] for a test that mostly waits: the servers' subtests run at the same time, whatever go test's
// -parallel is.
func ForEachServerBeside(t *testing.T, test func(*testing.T, *Instance)) {
	t.Helper()
	var all sync.WaitGroup
	for _, name := range Names {
		all.Go(func() { t.Run(name, func(t *testing.T) { test(t, Shared(t, name)) }) })
	}
	for _, ext := range externals(t) {
		if !matchesAny(ext) {
			all.Go(func() { t.Run(ext.Name, func(t *testing.T) { test(t, ext) }) })
		}
	}
	all.Wait()
}

var entry = regexp.MustCompile(`^\s*([^=\s]+)=(?:[^@]*@)?(tcp|unix)\(([^)]+)\)\S*\s*$`)

// externals are the servers of SEQGUARD_TEST_SERVERS. One that cannot be reached is an error: somebody has asked for it.
func externals(t testing.TB) []*Instance {
	t.Helper()
	var all []*Instance
	for _, e := range strings.Split(os.Getenv("SEQGUARD_TEST_SERVERS"), ",") {
		if strings.TrimSpace(e) == "" {
			continue
		}
		m := entry.FindStringSubmatch(e)
		if m == nil {
			t.Fatalf("SEQGUARD_TEST_SERVERS: %q is not of the form name=account@tcp(host:port)", e)
		}
		i := &Instance{Name: m[1], Kind: MySQL, Net: m[2], Addr: m[3], External: true}
		if i.Net == "unix" {
			i.Socket = i.Addr
		}
		var err error
		if i.Version, err = greetingVersion(i.Net, i.Addr); err != nil {
			t.Fatalf("SEQGUARD_TEST_SERVERS: %s: %v", i.Name, err)
		}
		if strings.Contains(i.Version, "MariaDB") {
			i.Kind = MariaDB
		}
		all = append(all, i)
	}
	return all
}

// matches tells whether an external server is what a name asks for.
func matches(i *Instance, name string) bool {
	switch name {
	case "mysql9":
		return i.Kind == MySQL && strings.HasPrefix(i.Version, "9.")
	case "mariadb1011":
		return i.Kind == MariaDB && strings.HasPrefix(i.Version, "10.11.")
	case "mariadb118":
		return i.Kind == MariaDB && strings.HasPrefix(i.Version, "11.8.")
	}
	return i.Name == name
}

func matchesAny(i *Instance) bool {
	for _, name := range Names {
		if matches(i, name) {
			return true
		}
	}
	return false
}
