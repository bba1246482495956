package seqguard

import (
	"reflect"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

func TestDSNParameters(t *testing.T) {
	const base = "user:secret@tcp(db:3306)/name"
	for _, tt := range []struct {
		in, out string
		want    func(*config)
	}{
		{base, base, func(*config) {}},
		{base + "?", base + "?", func(*config) {}},
		{base + "?tls=true", base + "?tls=true", func(*config) {}},
		{base + "?seqguardMode=observe", base, func(c *config) { c.mode = Observe }},
		{base + "?seqguardMode=enforce", base, func(c *config) {}},
		{base + "?seqguardHistory=1", base, func(c *config) { c.history = 1 }},
		{base + "?seqguardHistory=4096", base, func(c *config) { c.history = wrapconn.MaxHistory }},
		{base + "?seqguardTLS=opaque", base, func(c *config) { c.opaqueTLS = true }},
		{base + "?seqguardTLS=visible", base, func(c *config) {}},
		{base + "?seqguardCallSites=false", base, func(c *config) { c.callSites = false }},
		{base + "?seqguardAttribute=true", base, func(c *config) { c.attribute = true }},
		{base + "?seqguardPostMortem=off", base, func(c *config) {}},
		{base + "?seqguardStallStacks=false", base, func(c *config) { c.noStacks = true }},
		{base + "?seqguardAbandoned=true", base, func(c *config) { c.abandoned = true }},
		{base + "?seqguardMode=%6fbserve", base, func(c *config) { c.mode = Observe }},
		{base + "?a=1&seqguardMode=observe&b=2&seqguardHistory=7&c=3", base + "?a=1&b=2&c=3", func(c *config) { c.mode, c.history = Observe, 7 }},
		{base + "?seqguardMode=observe&a=1", base + "?a=1", func(c *config) { c.mode = Observe }},
		{base + "?seqguardMode=observe&seqguardMode=enforce", base, func(*config) {}},
		// A password may look like parameters; they begin behind the last slash.
		{"u:p/x?seqguardMode=observe@tcp(db)/n?a=1", "u:p/x?seqguardMode=observe@tcp(db)/n?a=1", func(*config) {}},
	} {
		got, want := newConfig(nil), newConfig(nil)
		tt.want(&want)
		out, err := cutDSN(tt.in, &got)
		if err != nil || out != tt.out || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s, %+v, %v", tt.in, out, got, err)
		}
	}
}

// Parameters win over options.
func TestDSNWinsOverOptions(t *testing.T) {
	c := newConfig([]Option{WithMode(Observe), WithHistory(9), WithTLSView(false), WithCallSites(false), nil})
	if _, err := cutDSN("/?seqguardMode=enforce&seqguardHistory=5&seqguardTLS=visible&seqguardCallSites=true", &c); err != nil {
		t.Fatal(err)
	}
	if c.mode != Enforce || c.history != 5 || c.opaqueTLS || !c.callSites {
		t.Errorf("%+v", c)
	}
}

// mysql.ParseDSN takes our parameters for system variables of the server.
func TestParametersOfAParsedDSN(t *testing.T) {
	cfg, err := mysql.ParseDSN("user:secret@tcp(db:3306)/name?seqguardMode=observe&seqguardHistory=7&time_zone=%27UTC%27")
	if err != nil {
		t.Fatal(err)
	}
	before := cfg.FormatDSN()
	c, err := NewConnector(cfg, WithHistory(9))
	if err != nil {
		t.Fatal(err)
	}
	got := c.(*connector)
	if got.opt.mode != Observe || got.opt.history != 7 {
		t.Errorf("%+v", got.opt)
	}
	if want := map[string]string{"time_zone": "'UTC'"}; !reflect.DeepEqual(got.cfg.Params, want) {
		t.Errorf("the driver gets %v, want %v", got.cfg.Params, want)
	}
	if after := cfg.FormatDSN(); after != before {
		t.Errorf("the caller's configuration became %s", after)
	}
	cfg.Params["seqguardMode"] = "on"
	if _, err := NewConnector(cfg); err == nil || !strings.Contains(err.Error(), `"enforce" or "observe"`) {
		t.Errorf("a bad value: %v", err)
	}
}

// An error names the parameter and what it takes, and nothing else of the DSN.
func TestDSNErrors(t *testing.T) {
	for param, wants := range map[string][]string{
		"seqguardMode=on":            {"seqguardMode", `"enforce" or "observe"`, `"on"`},
		"seqguardMode":               {"seqguardMode", `"enforce" or "observe"`, `""`},
		"seqguardMode=%zz":           {"seqguardMode", `"enforce" or "observe"`},
		"seqguardHistory=0":          {"seqguardHistory", "a number from 1 to 4096", `"0"`},
		"seqguardHistory=4097":       {"seqguardHistory", "a number from 1 to 4096"},
		"seqguardHistory=-5":         {"seqguardHistory", "a number from 1 to 4096"},
		"seqguardHistory=many":       {"seqguardHistory", `"many"`},
		"seqguardTLS=":               {"seqguardTLS", `"visible" or "opaque"`},
		"seqguardPostMortem=1":       {"seqguardPostMortem", `"off", "on" or "statement"`},
		"seqguardCallSites=1":        {"seqguardCallSites", `"true" or "false"`},
		"seqguardAbandoned=yes":      {"seqguardAbandoned", `"true" or "false"`},
		"seqguardmode=observe":       {"seqguardmode", "unknown", "seqguardMode, seqguardHistory, seqguardTLS, seqguardCallSites, seqguardStallStacks, seqguardAbandoned, seqguardAttribute, seqguardPostMortem"},
		"seqguard=1":                 {`"seqguard"`, "unknown"},
		"a=1&seqguardNothing=1&tls=": {"seqguardNothing", "unknown"},
	} {
		_, err := (&Driver{}).OpenConnector("user:s3cr3t@tcp(db:3306)/name?" + param)
		if err == nil {
			t.Errorf("%s is taken", param)
			continue
		}
		for _, w := range wants {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: no %q in %q", param, w, err)
			}
		}
		for _, secret := range []string{"s3cr3t", "user", "db:3306"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %q is in %q", param, secret, err)
			}
		}
	}
	// Without the slash that ends the address, a password that looks like
	// parameters is taken for them. It is not shown either.
	for _, dsn := range []string{
		"user:s3/cr?seqguard3t@tcp(db:3306)", "user:s3/cr?seqguardMode=3t@tcp(db:3306)", "user:s3/cr?seqguardHistory=s3cr3t!@tcp(db:3306)",
	} {
		_, err := (&Driver{}).OpenConnector(dsn)
		if err == nil || strings.Contains(err.Error(), "3t") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

// driverDSNs are those of go-sql-driver's own tests, the invalid ones too.
var driverDSNs = []string{
	"username:password@protocol(address)/dbname?param=value",
	"username:password@protocol(address)/dbname?param=value&columnsWithAlias=true",
	"username:password@protocol(address)/dbname?param=value&columnsWithAlias=true&multiStatements=true",
	"user@unix(/path/to/socket)/dbname?charset=utf8",
	"user:password@tcp(localhost:5555)/dbname?charset=utf8&tls=true",
	"user:password@tcp(localhost:5555)/dbname?charset=utf8mb4,utf8&tls=skip-verify",
	"user:password@/dbname?loc=UTC&timeout=30s&readTimeout=1s&writeTimeout=1s&allowAllFiles=1&clientFoundRows=true&allowOldPasswords=TRUE&collation=utf8mb4_unicode_ci&maxAllowedPacket=16777216&tls=false&allowCleartextPasswords=true&parseTime=true&rejectReadOnly=true",
	"user:password@/dbname?allowNativePasswords=false&checkConnLiveness=false&maxAllowedPacket=0&allowFallbackToPlaintext=true",
	"user:p@ss(word)@tcp([de:ad:be:ef::ca:fe]:80)/dbname?loc=Local",
	"/dbname", "/dbname%2Fwithslash", "@/", "/", "", "user:p@/ssword@/", "unix/?arg=%2Fsome%2Fpath.ext", "tcp(127.0.0.1)/dbname",
	"tcp(de:ad:be:ef::ca:fe)/dbname",
	"user:password@/dbname?loc=UTC&timeout=30s&parseTime=true&timeTruncate=1h",
	"foo:bar@tcp(192.168.1.50:3307)/baz?timeout=10s&connectionAttributes=program_name:MySQLGoDriver%2FTest,program_version:1.2.3",
	"@net(addr/", "@tcp(/", "tcp(/", "(/", "net(addr)//", "User:pass@tcp(1.2.3.4:3306)", "net()/",
	"user:pass@tcp(127.0.0.1:3306)/db/name", "user:password@/dbname?allowFallbackToPlaintext=PREFERRED",
	"user:password@/dbname?connectionAttributes=attr1:/unescaped/value",
}

// sameDSN checks that a DSN without parameters of ours is the driver's, and
// that one more of ours changes nothing of what the driver makes of it.
func sameDSN(t *testing.T, dsn string) {
	c := newConfig(nil)
	out, err := cutDSN(dsn, &c)
	slash := strings.LastIndexByte(dsn, '/')
	ours := slash >= 0 && strings.Contains(dsn[slash:], dsnPrefix)
	switch {
	case err != nil && !ours:
		t.Fatalf("%q: %v", dsn, err)
	case err != nil:
		return
	case !ours && (out != dsn || !reflect.DeepEqual(c, newConfig(nil))):
		t.Fatalf("%q has become %q", dsn, out)
	}
	want, wantErr := mysql.ParseDSN(out)
	if slash < 0 {
		return
	}
	sep := "?"
	if strings.Contains(dsn[slash:], "?") {
		sep = "&"
	}
	more, err := cutDSN(dsn+sep+"seqguardMode=observe", &c)
	if err != nil || c.mode != Observe {
		t.Fatalf("%q with a parameter more: %v, %+v", dsn, err, c)
	}
	got, gotErr := mysql.ParseDSN(more)
	if (gotErr == nil) != (wantErr == nil) {
		t.Fatalf("%q: %v; with a parameter more %q: %v", out, wantErr, more, gotErr)
	}
	if wantErr == nil && got.FormatDSN() != want.FormatDSN() {
		t.Fatalf("%q is %s; with a parameter more %s", out, want.FormatDSN(), got.FormatDSN())
	}
}

func TestDriverDSNs(t *testing.T) {
	for _, dsn := range driverDSNs {
		sameDSN(t, dsn)
		_, err := mysql.ParseDSN(dsn)
		if _, ours := (&Driver{}).OpenConnector(dsn); err != nil && (ours == nil || ours.Error() != err.Error()) {
			t.Errorf("%s: %v, and the plain driver says %v", dsn, ours, err)
		}
	}
}

func FuzzDSN(f *testing.F) {
	for _, dsn := range driverDSNs {
		f.Add(dsn)
	}
	f.Add("u:p@tcp(h)/d?a=b&seqguardMode=observe&seqguardHistory=%31")
	f.Fuzz(sameDSN)
}
