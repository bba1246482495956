// Command gorm is GORM on the guarded driver: DriverName is all that changes.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"

	"gorm.io/driver/mysql"
	"gorm.io/gorm"

	seqguard "github.com/seqguard/mysql-seqguard"

	"github.com/seqguard/mysql-seqguard/example/internal/embedded"
)

// Order is an order of a shop.
type Order struct {
	ID    uint
	Item  string `gorm:"size:40"`
	Count int
}

// open opens GORM on the guarded driver. A *sql.DB of your own (of
// sql.OpenDB and seqguard.NewConnector, or of otelsql) goes into Config.Conn.
func open(dsn string, cfg *gorm.Config) (*gorm.DB, error) {
	return gorm.Open(mysql.New(mysql.Config{DriverName: seqguard.DriverName, DSN: dsn}), cfg)
}

// shop works on a table: rows in, changed in a transaction, and out again.
func shop(ctx context.Context, db *gorm.DB) ([]Order, error) {
	db = db.WithContext(ctx)
	if err := db.AutoMigrate(&Order{}); err != nil {
		return nil, err
	}
	if err := db.Create([]*Order{{Item: "apple", Count: 3}, {Item: "pear", Count: 1}, {Item: "plum", Count: 7}}).Error; err != nil {
		return nil, err
	}
	if err := db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Model(&Order{}).Where("item = ?", "pear").Update("count", gorm.Expr("count + ?", 1)).Error; err != nil {
			return err
		}
		return tx.Where("item = ?", "plum").Delete(&Order{}).Error
	}); err != nil {
		return nil, err
	}
	var out []Order
	return out, db.Order("id").Find(&out).Error
}

func main() {
	dsn := flag.String("dsn", "", "the database; without one an embedded server")
	flag.Parse()
	if err := run(*dsn); err != nil {
		log.Fatal(err)
	}
}

func run(dsn string) error {
	if dsn == "" {
		s, err := embedded.Start()
		if err != nil {
			return err
		}
		defer s.Close()
		dsn = s.DSN("app", "")
	}
	db, err := open(dsn, &gorm.Config{})
	if err != nil {
		return err
	}
	orders, err := shop(context.Background(), db)
	if err != nil {
		return err
	}
	for _, o := range orders {
		fmt.Printf("%d %s × %d\n", o.ID, o.Item, o.Count)
	}
	return nil
}
