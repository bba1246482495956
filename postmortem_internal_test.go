package seqguard

import (
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// What a server says of itself fits what it is kept in, whatever it says.
func TestSecondsOfAServer(t *testing.T) {
	for said, want := range map[string]time.Duration{
		"28800": 8 * time.Hour, "0": 0, "-1": 0, "": 0, "off": 0, "9300000000": maxSeconds * time.Second, "9223372036854775807": maxSeconds * time.Second,
	} {
		if got := seconds(said); got != want {
			t.Errorf("%q is %v, want %v", said, got, want)
		}
	}
}

// The connection of a post-mortem can be made with whatever the application's can: the
// driver refuses interpolateParams for some collations.
func TestPostMortemWithAnyCollation(t *testing.T) {
	cfg, err := mysql.ParseDSN("user@tcp(127.0.0.1:3306)/?collation=gbk_chinese_ci")
	if err != nil {
		t.Fatal(err)
	}
	q := &inquirer{cfg: cfg, opt: &config{postMortem: &PostMortem{}}}
	if _, err := mysql.NewConnector(q.plain()); err != nil {
		t.Error(err)
	}
}
