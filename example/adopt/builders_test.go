package adopt

import (
	"context"
	"database/sql"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/doug-martin/goqu/v9"
	_ "github.com/doug-martin/goqu/v9/dialect/mysql"
	"github.com/go-gorp/gorp/v3"
	"github.com/gocraft/dbr/v2"
	dbrdialect "github.com/gocraft/dbr/v2/dialect"
	"github.com/jmoiron/sqlx"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/mysqldialect"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"xorm.io/xorm"
	"xorm.io/xorm/core"

	seqguard "github.com/seqguard/mysql-seqguard"
)

func TestGORM(t *testing.T) {
	guarded(t, func() error {
		db, err := gorm.Open(gormmysql.New(gormmysql.Config{DriverName: "mysql-seqguard", DSN: server(t).DSN("parseTime=true")}))
		if err != nil {
			return err
		}
		var a answer
		err = db.WithContext(ctx(t)).Raw(question).Scan(&a).Error
		a.check(t)
		return err
	})
}

func TestGORMWithPool(t *testing.T) {
	guarded(t, func() error {
		db, err := gorm.Open(gormmysql.New(gormmysql.Config{Conn: open(t, "parseTime=true")}))
		if err != nil {
			return err
		}
		return db.WithContext(ctx(t)).Exec("DO 1").Error
	})
}

func TestSQLX(t *testing.T) {
	sqlx.BindDriver("mysql-seqguard", sqlx.QUESTION) // sqlx does not know the name
	guarded(t, func() error {
		db, err := sqlx.Connect("mysql-seqguard", server(t).DSN(""))
		if err != nil {
			return err
		}
		defer db.Close()
		var a answer
		rows, err := db.NamedQueryContext(ctx(t), "SELECT :n AS n", answer{42})
		if err != nil {
			return err
		}
		defer rows.Close()
		rows.Next()
		err = rows.StructScan(&a)
		a.check(t)
		return err
	})
}

func TestSQLXWithPool(t *testing.T) {
	guarded(t, func() error {
		var a answer
		err := sqlx.NewDb(open(t, ""), "mysql").GetContext(ctx(t), &a, question)
		a.check(t)
		return err
	})
}

// With the generated code: ent.NewClient(ent.Driver(entsql.OpenDB(dialect.MySQL, db))).
func TestEnt(t *testing.T) {
	guarded(t, func() error {
		drv := entsql.OpenDB(dialect.MySQL, open(t, ""))
		var rows entsql.Rows
		if err := drv.Query(ctx(t), question, []any{}, &rows); err != nil {
			return err
		}
		n, err := entsql.ScanInt(rows)
		answer{n}.check(t)
		return err
	})
}

func TestBun(t *testing.T) {
	guarded(t, func() error {
		db := bun.NewDB(open(t, ""), mysqldialect.New())
		var a answer
		err := db.NewRaw(question).Scan(ctx(t), &a)
		a.check(t)
		return err
	})
}

func TestXORM(t *testing.T) {
	guarded(t, func() error {
		engine, err := xorm.NewEngineWithDB("mysql", server(t).DSN(""), core.FromDB(open(t, "")))
		if err != nil {
			return err
		}
		var a answer
		_, err = engine.Context(ctx(t)).SQL(question).Get(&a)
		a.check(t)
		return err
	})
}

func TestDBR(t *testing.T) {
	guarded(t, func() error {
		conn := &dbr.Connection{DB: open(t, ""), Dialect: dbrdialect.MySQL, EventReceiver: &dbr.NullEventReceiver{}}
		var a answer
		err := conn.NewSession(nil).SelectBySql(question).LoadOneContext(ctx(t), &a)
		a.check(t)
		return err
	})
}

func TestGoqu(t *testing.T) {
	guarded(t, func() error {
		db := goqu.New("mysql", open(t, ""))
		var a answer
		_, err := db.Select(goqu.V(42).As("n")).Executor().ScanStructContext(ctx(t), &a)
		a.check(t)
		return err
	})
}

func TestGorp(t *testing.T) {
	guarded(t, func() error {
		m := &gorp.DbMap{Db: open(t, ""), Dialect: gorp.MySQLDialect{Engine: "InnoDB", Encoding: "utf8mb4"}}
		var a answer
		err := m.WithContext(ctx(t)).SelectOne(&a, question)
		a.check(t)
		return err
	})
}

// DBTX is the interface that sqlc generates, and New takes.
type DBTX interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	PrepareContext(context.Context, string) (*sql.Stmt, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func TestSQLC(t *testing.T) {
	guarded(t, func() error {
		var db DBTX = open(t, "") // queries := New(db)
		var a answer
		err := db.QueryRowContext(ctx(t), question).Scan(&a.N)
		a.check(t)
		return err
	})
}

// How to see that it is active: a type, and a count.
func TestIsItActive(t *testing.T) {
	db := open(t, "")
	if _, active := db.Driver().(*seqguard.Driver); !active {
		t.Errorf("%T", db.Driver())
	}
	guarded(t, func() error { return db.PingContext(ctx(t)) })
}
