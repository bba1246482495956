#!/usr/bin/env bash
# canal-first-copy.sh: go-mysql's canal, which first hands on the rows that are in the tables and then each change, leaves whole tables out
# of the first without a word. For the rows it runs mysqldump and reads its INSERTs. But it knows only "INSERT INTO `t` VALUES (…)", and
# mysqldump by itself writes the names of the columns too, as soon as a table has
#
# - a generated column, virtual or stored, or
# - an invisible one; also the primary key that MySQL adds to a table without one (sql_generate_invisible_primary_key=ON).
#
# canal passes over such a line as over a comment. One expects all rows, or an error: WaitDumpDone and Run report none, the log says
# "dump MySQL and parse OK". The changes of the same tables do arrive afterwards, so whoever looks at a new row finds it in the copy
# (a search index, a cache), and an UPDATE or DELETE comes for rows that were never handed on.
#
# On the server it all looks well: mysqldump's SELECT of every table has ended, and its output has every row.
#
# Below are five tables of two rows each, and row 1 of each is changed after the first copy. Run with
# github.com/go-mysql-org/go-mysql v1.13.0 (the source of August 2026 has the same line), Go 1.26.8, MySQL 9.7.4 and its mysqldump of
# the cache (scripts/servers.sh: mysql9, mysql9tools). Fails if it is otherwise. Needs Go and the module proxy. The README promises the
# dump of the data; neither it nor an issue speaks of such columns. Output seen: the lines at the end of this file.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)
# shellcheck source-path=SCRIPTDIR/../scripts source=lib.sh
. "$scripts/lib.sh"
version=${1:-v1.13.0}
dir=$(mktemp -d -t finding.XXXXXX)
chmod 755 "$dir"
trap '"$scripts/servers.sh" stop "$dir/server" || true; rm -rf "$dir"' EXIT
port=${PORT:-23987}
"$scripts/servers.sh" fetch mysql9tools >/dev/null
"$scripts/servers.sh" start mysql9 "$dir/server" "$port" --log-bin=binlog --server-id=1 >/dev/null
mkdir "$dir/program"
cd "$dir/program"
export GOWORK=off GOFLAGS=-mod=mod
cat >main.go <<'GO'
package main

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-mysql-org/go-mysql/canal"
	"github.com/go-mysql-org/go-mysql/client"
)

var (
	tables = []string{"plain", "virtual_column", "stored_column", "invisible_column", "no_key"}
	seen   = map[string]int{}
	last   = make(chan bool)
)

type handler struct{ canal.DummyEventHandler }

func (*handler) OnRow(e *canal.RowsEvent) error {
	seen[e.Action+" "+e.Table.Name]++
	if e.Action == canal.UpdateAction && e.Table.Name == tables[len(tables)-1] {
		close(last)
	}
	return nil
}

func fatal(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	c := canal.NewDefaultConfig()
	c.Addr, c.User, c.Password = os.Args[1], "gotest", "secret"
	c.Dump.ExecutionPath, c.Dump.TableDB, c.Dump.Tables = os.Args[2], "gotest", tables
	c.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	changes, err := client.Connect(c.Addr, c.User, c.Password, "gotest")
	fatal(err)
	reader, err := canal.NewCanal(c)
	fatal(err)
	reader.SetEventHandler(&handler{})
	ended := make(chan error)
	go func() { ended <- reader.Run() }()
	<-reader.WaitDumpDone()
	for _, table := range tables {
		_, err := changes.Execute("UPDATE " + table + " SET text = 'changed' WHERE id = 1")
		fatal(err)
	}
	select {
	case <-last:
	case err := <-ended:
		fatal(fmt.Errorf("Run: %v", err))
	case <-time.After(time.Minute):
		fatal(fmt.Errorf("no change of the last table"))
	}
	reader.Close()
	for _, table := range tables {
		fmt.Printf("%s: %d of 2 rows, %d of 1 change\n", table, seen["insert "+table], seen["update "+table])
	}
}
GO
go mod init finding >/dev/null 2>&1
go get "github.com/go-mysql-org/go-mysql@$version" >log 2>&1 || die "$(tail -5 log)"
go mod tidy >log 2>&1 || die "$(tail -5 log)"
"$cache/mysql9/bin/mysql" -uroot -S "$dir/server/s.sock" gotest -e "
  CREATE TABLE plain (id INT PRIMARY KEY, text VARCHAR(20));
  CREATE TABLE virtual_column (id INT PRIMARY KEY, text VARCHAR(20), upper VARCHAR(20) AS (UPPER(text)));
  CREATE TABLE stored_column (id INT PRIMARY KEY, text VARCHAR(20), upper VARCHAR(20) AS (UPPER(text)) STORED);
  CREATE TABLE invisible_column (id INT PRIMARY KEY, text VARCHAR(20), internal INT DEFAULT 0 INVISIBLE);
  SET sql_generate_invisible_primary_key = ON;
  CREATE TABLE no_key (id INT, text VARCHAR(20));
  INSERT INTO plain VALUES (1, 'one'), (2, 'two');
  INSERT INTO virtual_column (id, text) SELECT * FROM plain;
  INSERT INTO stored_column (id, text) SELECT * FROM plain;
  INSERT INTO invisible_column SELECT * FROM plain;
  INSERT INTO no_key SELECT * FROM plain"
"$cache/mysql9/bin/mysqld" --version | sed 's/.*Ver/MySQL/'
out=$(go run . "127.0.0.1:$port" "$cache/mysql9tools/bin/mysqldump" 2>log) || die "$out $(tail -5 log)"
out+="
$(grep -o 'dump MySQL and parse [A-Za-z]*' log); lines of the log that warn: $(grep -c 'level=WARN\|level=ERROR' log || true)"
printf 'go-mysql %s\n%s\n' "$version" "$out"
[ "$out" = "plain: 2 of 2 rows, 1 of 1 change
virtual_column: 0 of 2 rows, 1 of 1 change
stored_column: 0 of 2 rows, 1 of 1 change
invisible_column: 0 of 2 rows, 1 of 1 change
no_key: 0 of 2 rows, 1 of 1 change
dump MySQL and parse OK; lines of the log that warn: 0" ] || die 'that has changed'
