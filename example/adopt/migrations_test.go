package adopt

import (
	"testing"
	"testing/fstest"

	"github.com/golang-migrate/migrate/v4"
	migratemysql "github.com/golang-migrate/migrate/v4/database/mysql"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/pressly/goose/v3"
	sqlmigrate "github.com/rubenv/sql-migrate"
)

func TestGoose(t *testing.T) {
	files := fstest.MapFS{"00001_a.sql": {Data: []byte("-- +goose Up\nCREATE TABLE adopt_goose (id INT);\n-- +goose Down\nDROP TABLE adopt_goose;\n")}}
	guarded(t, func() error {
		p, err := goose.NewProvider(goose.DialectMySQL, open(t, "parseTime=true"), files)
		if err != nil {
			return err
		}
		if _, err := p.Up(ctx(t)); err != nil {
			return err
		}
		_, err = p.DownTo(ctx(t), 0)
		return err
	})
}

func TestGolangMigrate(t *testing.T) {
	files := fstest.MapFS{
		"1_a.up.sql":   {Data: []byte("CREATE TABLE adopt_migrate (id INT)")},
		"1_a.down.sql": {Data: []byte("DROP TABLE adopt_migrate")},
	}
	guarded(t, func() error {
		source, err := iofs.New(files, ".")
		if err != nil {
			return err
		}
		target, err := migratemysql.WithInstance(open(t, "multiStatements=true"), &migratemysql.Config{})
		if err != nil {
			return err
		}
		m, err := migrate.NewWithInstance("iofs", source, "mysql", target)
		if err != nil {
			return err
		}
		defer m.Close()
		if err := m.Up(); err != nil {
			return err
		}
		return m.Down()
	})
}

func TestSQLMigrate(t *testing.T) {
	source := &sqlmigrate.MemoryMigrationSource{Migrations: []*sqlmigrate.Migration{
		{Id: "1", Up: []string{"CREATE TABLE adopt_sqlmigrate (id INT)"}, Down: []string{"DROP TABLE adopt_sqlmigrate"}},
	}}
	guarded(t, func() error {
		db := open(t, "parseTime=true")
		for _, dir := range []sqlmigrate.MigrationDirection{sqlmigrate.Up, sqlmigrate.Down} {
			if _, err := sqlmigrate.Exec(db, "mysql", source, dir); err != nil {
				return err
			}
		}
		return nil
	})
}
