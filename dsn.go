package seqguard

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/wrapconn"
)

// dsnPrefix begins the names of our own DSN parameters.
const dsnPrefix = "seqguard"

// dsnParams are the parameters that are taken out of a DSN before the driver
// sees it.
var dsnParams = []struct {
	name, takes string
	set         func(c *config, value string) bool
}{
	{"seqguardMode", `"enforce" or "observe"`, func(c *config, v string) bool {
		switch v {
		case "enforce":
			c.mode = Enforce
		case "observe":
			c.mode = Observe
		default:
			return false
		}
		return true
	}},
	{"seqguardHistory", fmt.Sprintf("a number from 1 to %d", wrapconn.MaxHistory), func(c *config, v string) bool {
		n, err := strconv.Atoi(v)
		c.history = n
		return err == nil && n >= 1 && n <= wrapconn.MaxHistory
	}},
	{"seqguardTLS", `"visible" or "opaque"`, func(c *config, v string) bool {
		c.opaqueTLS = v == "opaque"
		return v == "visible" || v == "opaque"
	}},
	{"seqguardCallSites", `"true" or "false"`, func(c *config, v string) bool {
		c.callSites = v == "true"
		return v == "true" || v == "false"
	}},
	{"seqguardStallStacks", `"true" or "false"`, func(c *config, v string) bool {
		c.noStacks = v == "false"
		return v == "true" || v == "false"
	}},
	{"seqguardAbandoned", `"true" or "false"`, func(c *config, v string) bool {
		c.abandoned = v == "true"
		return v == "true" || v == "false"
	}},
	{"seqguardAttribute", `"true" or "false"`, func(c *config, v string) bool {
		c.attribute = v == "true"
		return v == "true" || v == "false"
	}},
	{"seqguardPostMortem", `"off", "on" or "statement"`, func(c *config, v string) bool {
		if c.postMortem = nil; v != "off" {
			WithPostMortem(PostMortem{Statement: v == "statement"}).apply(c)
		}
		return v == "off" || v == "on" || v == "statement"
	}},
}

// cutDSN takes our parameters out of dsn and applies them to c. It never puts a
// part of the DSN other than its own parameters into an error: a DSN holds a
// password.
func cutDSN(dsn string, c *config) (string, error) {
	// The driver looks for the last slash, then for the first question mark.
	slash := strings.LastIndexByte(dsn, '/')
	if slash < 0 {
		return dsn, nil // the driver has the error for this
	}
	query := strings.IndexByte(dsn[slash:], '?')
	if query < 0 {
		return dsn, nil
	}
	head, params := dsn[:slash+query], strings.Split(dsn[slash+query+1:], "&")
	kept := params[:0]
	for _, p := range params {
		if !strings.HasPrefix(p, dsnPrefix) {
			kept = append(kept, p)
			continue
		}
		name, raw, _ := strings.Cut(p, "=")
		value, err := url.QueryUnescape(raw)
		if err != nil {
			value = raw // which no parameter takes
		}
		if err := setDSNParam(c, name, value); err != nil {
			return "", err
		}
	}
	if len(kept) == 0 {
		return head, nil
	}
	return head + "?" + strings.Join(kept, "&"), nil
}

// cutParams is cutDSN for a parsed DSN. The driver would take what it does not
// know for system variables of the server.
func cutParams(cfg *mysql.Config, c *config) (*mysql.Config, error) {
	if cfg == nil {
		return nil, nil // the driver's own panic
	}
	cut := cfg
	for name, value := range cfg.Params {
		if !strings.HasPrefix(name, dsnPrefix) {
			continue
		}
		if err := setDSNParam(c, name, value); err != nil {
			return nil, err
		}
		if cut == cfg {
			cut = cfg.Clone()
		}
		delete(cut.Params, name)
	}
	return cut, nil
}

func setDSNParam(c *config, name, value string) error {
	var names []string
	for _, p := range dsnParams {
		names = append(names, p.name)
		if p.name != name {
			continue
		}
		if !p.set(c, value) {
			return fmt.Errorf("seqguard: DSN parameter %s takes %s, not %s", name, p.takes, quote(value))
		}
		return nil
	}
	return fmt.Errorf("seqguard: unknown DSN parameter %s; there are %s", quote(name), strings.Join(names, ", "))
}

// quote shows a part of the DSN if it looks like a name or a value of ours. In
// a DSN without the slash behind the address, the end of a password can stand in
// a parameter's place.
func quote(s string) string {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.%+", c) >= 0) {
			return "what is there"
		}
	}
	return strconv.Quote(s)
}
