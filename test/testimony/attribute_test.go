//go:build linux

package testimony_test

import (
	"testing"
	"time"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// TestConnectionAttribute: the id of a connection in its report is the one that the
// server has, beside the application's own attributes.
func TestConnectionAttribute(t *testing.T) {
	for _, name := range real {
		t.Run(name, func(t *testing.T) {
			server := mysqltest.Start(t, name, "--performance-schema=ON")
			db, c := kit.Open(t, server.DSN("connectionAttributes=program_name:shop&readTimeout=1s"), nil, seqguard.WithConnectionAttribute(true))
			conn, second := kit.Pin(t, db), kit.Pin(t, db)
			id, attr := 0, map[string]string{}
			rows, err := conn.QueryContext(t.Context(), "SELECT CONNECTION_ID(), ATTR_NAME, ATTR_VALUE FROM performance_schema.session_account_connect_attrs WHERE PROCESSLIST_ID = CONNECTION_ID()")
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var k, v string
				if err := rows.Scan(&id, &k, &v); err != nil {
					t.Fatal(err)
				}
				attr[k] = v
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			if attr["program_name"] != "shop" || len(attr["seqguard_id"]) < 20 {
				t.Errorf("the server has %v", attr)
			}
			var other string
			if err := second.QueryRowContext(t.Context(), "SELECT ATTR_VALUE FROM performance_schema.session_account_connect_attrs WHERE PROCESSLIST_ID = CONNECTION_ID() AND ATTR_NAME = 'seqguard_id'").Scan(&other); err != nil || other == attr["seqguard_id"] {
				t.Errorf("two connections have %q, %v", other, err)
			}
			if _, err := conn.ExecContext(t.Context(), "DO SLEEP(3)"); err == nil {
				t.Fatal("no error")
			}
			if err := seqguard.Flush(kit.Timeout(t, 20*time.Second)); err != nil {
				t.Fatal(err)
			}
			if r := c.Only(t); r.ID != attr["seqguard_id"] || int(r.Connection) != id {
				t.Errorf("connection %d, %q; the server says %d, %v", r.Connection, r.ID, id, attr)
			}
		})
	}
}
