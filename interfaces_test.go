package seqguard_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"go/importer"
	"go/token"
	"go/types"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// driverInterfaces are all interfaces of database/sql/driver: what a value does
// not have, database/sql does without, silently.
var driverInterfaces = []reflect.Type{
	//lint:ignore SA1019 go-sql-driver has it
	reflect.TypeFor[driver.ColumnConverter](),
	reflect.TypeFor[driver.Conn](),
	reflect.TypeFor[driver.ConnBeginTx](),
	reflect.TypeFor[driver.ConnPrepareContext](),
	reflect.TypeFor[driver.Connector](),
	reflect.TypeFor[driver.Driver](),
	reflect.TypeFor[driver.DriverContext](),
	//lint:ignore SA1019 go-sql-driver has it
	reflect.TypeFor[driver.Execer](),
	reflect.TypeFor[driver.ExecerContext](),
	reflect.TypeFor[driver.NamedValueChecker](),
	reflect.TypeFor[driver.Pinger](),
	//lint:ignore SA1019 go-sql-driver has it
	reflect.TypeFor[driver.Queryer](),
	reflect.TypeFor[driver.QueryerContext](),
	reflect.TypeFor[driver.Result](),
	reflect.TypeFor[driver.Rows](),
	reflect.TypeFor[driver.RowsColumnTypeDatabaseTypeName](),
	reflect.TypeFor[driver.RowsColumnTypeLength](),
	reflect.TypeFor[driver.RowsColumnTypeNullable](),
	reflect.TypeFor[driver.RowsColumnTypePrecisionScale](),
	reflect.TypeFor[driver.RowsColumnTypeScanType](),
	reflect.TypeFor[driver.RowsNextResultSet](),
	reflect.TypeFor[driver.SessionResetter](),
	reflect.TypeFor[driver.Stmt](),
	reflect.TypeFor[driver.StmtExecContext](),
	reflect.TypeFor[driver.StmtQueryContext](),
	reflect.TypeFor[driver.Tx](),
	reflect.TypeFor[driver.Validator](),
	reflect.TypeFor[driver.ValueConverter](),
	reflect.TypeFor[driver.Valuer](),
	reflect.TypeFor[mysql.Result](),
}

// TestInterfaceList fails when a new version of Go has an interface that the
// list does not: it may be one that the driver has and ours must have, too.
func TestInterfaceList(t *testing.T) {
	pkg, err := importer.ForCompiler(token.NewFileSet(), "source", nil).Import("database/sql/driver")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range pkg.Scope().Names() {
		obj, ok := pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok || !obj.Exported() || name == "Value" || !types.IsInterface(obj.Type()) {
			continue
		}
		if !slices.ContainsFunc(driverInterfaces, func(i reflect.Type) bool { return i.PkgPath() == pkg.Path() && i.Name() == name }) {
			t.Errorf("driver.%s is not in the list", name)
		}
	}
}

func interfacesOf(v any) []string {
	var out []string
	for _, i := range driverInterfaces {
		if reflect.TypeOf(v).Implements(i) {
			out = append(out, i.String())
		}
	}
	return out
}

// values makes one of each kind of value through sql.Conn.Raw, where users see
// them.
func values(t *testing.T, db *sql.DB) map[string]any {
	t.Helper()
	ctx := kit.Timeout(t, 20*time.Second)
	out := map[string]any{"driver": db.Driver()}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	conn, err := db.Conn(ctx)
	check(err)
	defer conn.Close()
	check(conn.Raw(func(dc any) error {
		out["conn"] = dc
		c := dc.(interface {
			driver.ConnPrepareContext
			driver.ExecerContext
			driver.QueryerContext
			driver.ConnBeginTx
		})
		result, err := c.ExecContext(ctx, "DO 1", nil)
		check(err)
		out["result"] = result
		rows, err := c.QueryContext(ctx, "SELECT 1", nil)
		check(err)
		out["text rows"] = rows
		check(rows.Close())
		stmt, err := c.PrepareContext(ctx, "SELECT 1")
		check(err)
		out["stmt"] = stmt
		rows, err = stmt.(driver.StmtQueryContext).QueryContext(ctx, nil)
		check(err)
		out["binary rows"] = rows
		check(rows.Close())
		check(stmt.Close())
		stmt, err = c.PrepareContext(ctx, "DO 1")
		check(err)
		result, err = stmt.(driver.StmtExecContext).ExecContext(ctx, nil)
		check(err)
		out["stmt result"] = result
		check(stmt.Close())
		tx, err := c.BeginTx(ctx, driver.TxOptions{})
		check(err)
		out["tx"] = tx
		return tx.Rollback()
	}))
	return out
}

// Whatever the plain driver's values can do, ours can.
func TestInterfaces(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		plain, err := sql.Open("mysql", server.DSN(""))
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		guarded, c := kit.Open(t, server.DSN(""), nil)
		want, got := values(t, plain), values(t, guarded)

		cfg, err := mysql.ParseDSN(server.DSN(""))
		if err != nil {
			t.Fatal(err)
		}
		if want["connector"], err = mysql.NewConnector(cfg); err != nil {
			t.Fatal(err)
		}
		if got["connector"], err = seqguard.NewConnector(cfg); err != nil {
			t.Fatal(err)
		}
		for name, v := range want {
			has := interfacesOf(got[name])
			if len(interfacesOf(v)) == 0 {
				t.Errorf("the plain driver's %s has no interface at all", name)
			}
			for _, i := range interfacesOf(v) {
				if !slices.Contains(has, i) {
					t.Errorf("the %s is no %s, and the plain driver's is", name, i)
				}
			}
			// Nor more than that: database/sql would take another way.
			for _, i := range has {
				if !slices.Contains(interfacesOf(v), i) {
					t.Errorf("the %s is a %s, and the plain driver's is not", name, i)
				}
			}
		}
		c.None(t)
	})
}

// What each statement of a multi-statement did is in mysql.Result only.
func TestMySQLResult(t *testing.T) {
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		plain, err := sql.Open("mysql", server.DSN("multiStatements=true"))
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		guarded, c := kit.Open(t, server.DSN("multiStatements=true"), nil)
		want, got := results(t, plain), results(t, guarded)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if want := [][]int64{{0, 2, 1, 3}, {0, 1, 3, 0}, {2}, {1}}; !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		c.None(t)
	})
}

// results are all affected rows and insert ids of a multi-statement and of a
// prepared statement.
func results(t *testing.T, db *sql.DB) [][]int64 {
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var out [][]int64
	take := func(r driver.Result, err error) {
		if err != nil {
			t.Fatal(err)
		}
		m := r.(mysql.Result)
		out = append(out, m.AllRowsAffected(), m.AllLastInsertIds())
	}
	err = conn.Raw(func(dc any) error {
		take(dc.(driver.ExecerContext).ExecContext(ctx, "CREATE TEMPORARY TABLE r (id INT AUTO_INCREMENT PRIMARY KEY, v INT);"+
			"INSERT INTO r (v) VALUES (1), (2); INSERT INTO r (v) VALUES (3); UPDATE r SET v = v + 1", nil))
		s, err := dc.(driver.ConnPrepareContext).PrepareContext(ctx, "INSERT INTO r (id, v) VALUES (?, 8), (?, 9)")
		if err != nil {
			return err
		}
		defer s.Close()
		r, err := s.(driver.StmtExecContext).ExecContext(ctx, []driver.NamedValue{{Ordinal: 1, Value: int64(21)}, {Ordinal: 2, Value: int64(22)}})
		if err != nil {
			return err
		}
		m := r.(mysql.Result)
		out = append(out, m.AllRowsAffected(), []int64{int64(len(m.AllLastInsertIds()))})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
