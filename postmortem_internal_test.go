package seqguard

import (
	"testing"

	"github.com/go-sql-driver/mysql"
)

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
