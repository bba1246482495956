package main

import (
	"database/sql"
	"reflect"
	"testing"

	driver "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	seqguard "github.com/seqguard/mysql-seqguard"

	"github.com/seqguard/mysql-seqguard/example/internal/embedded"
)

var server *embedded.Server

func TestMain(m *testing.M) { embedded.Main(m, func(s *embedded.Server) { server = s }) }

func TestGORM(t *testing.T) {
	for name, open := range map[string]func(*gorm.Config) (*gorm.DB, error){
		"DriverName": func(c *gorm.Config) (*gorm.DB, error) { return open(server.DSN("app", ""), c) },
		"Conn": func(c *gorm.Config) (*gorm.DB, error) {
			db, err := sql.Open(seqguard.DriverName, server.DSN("app", ""))
			if err != nil {
				return nil, err
			}
			return gorm.Open(driver.New(driver.Config{Conn: db}), c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := open(&gorm.Config{Logger: logger.Discard})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := db.Migrator().DropTable(&Order{}); err != nil {
					t.Error(err)
				}
				if pool, err := db.DB(); err == nil {
					_ = pool.Close()
				}
			}()
			got, err := shop(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			if want := []Order{{1, "apple", 3}, {2, "pear", 2}}; !reflect.DeepEqual(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// A refusal names the lines of the application, not those of GORM.
func TestGORMCallSites(t *testing.T) {
	server.Broken++
	db, err := open(server.DSN("app", ""), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Transaction(func(tx *gorm.DB) error {
		rows, err := tx.Raw("SELECT 1").Rows()
		if err != nil {
			return err
		}
		defer rows.Close()
		return tx.Exec("DELETE FROM orders").Error
	})
	embedded.WantSites(t, err, "TestGORMCallSites")
}
