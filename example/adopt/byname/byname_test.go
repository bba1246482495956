package byname

import (
	"context"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/gocraft/dbr/v2"
	"github.com/golang-migrate/migrate/v4/database"
	_ "github.com/golang-migrate/migrate/v4/database/mysql"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"xorm.io/xorm"

	seqguard "github.com/seqguard/mysql-seqguard"
	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

func TestMain(m *testing.M) { kit.Main(m) }

// Not a line of these is about the guard.
func TestByName(t *testing.T) {
	server := mysqltest.Shared(t, "mariadb1011")
	dsn := server.DSN("parseTime=true")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for name, use := range map[string]func() error{
		"ent": func() error {
			drv, err := entsql.Open(dialect.MySQL, dsn)
			if err != nil {
				return err
			}
			defer drv.Close()
			return drv.Exec(ctx, "DO 1", []any{}, nil)
		},
		"sqlx": func() error {
			db, err := sqlx.ConnectContext(ctx, "mysql", dsn)
			if err != nil {
				return err
			}
			defer db.Close()
			if _, err := db.NamedExecContext(ctx, "DO :n", map[string]any{"n": 1}); err != nil {
				return err
			}
			return nil
		},
		"xorm": func() error {
			engine, err := xorm.NewEngine("mysql", dsn)
			if err != nil {
				return err
			}
			defer engine.Close()
			return engine.PingContext(ctx)
		},
		"dbr": func() error {
			conn, err := dbr.Open("mysql", dsn, nil)
			if err != nil {
				return err
			}
			defer conn.Close()
			return conn.PingContext(ctx)
		},
		"goose": func() error {
			db, err := goose.OpenDBWithDriver("mysql", dsn)
			if err != nil {
				return err
			}
			defer db.Close()
			return db.PingContext(ctx)
		},
		"golang-migrate": func() error {
			d, err := database.Open("mysql://" + dsn)
			if err != nil {
				return err
			}
			return d.Close()
		},
		"GORM": func() error {
			db, err := gorm.Open(gormmysql.Open(dsn))
			if err != nil {
				return err
			}
			return db.WithContext(ctx).Exec("DO 1").Error
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := seqguard.Stats()
			if err := use(); err != nil {
				t.Fatal(err)
			}
			after := seqguard.Stats()
			if after.Connections == before.Connections || after.Reports != before.Reports {
				t.Errorf("before %+v, after %+v", before, after)
			}
		})
	}
}
