// Command dialer reaches its database through an HTTP proxy, by a network of its
// own: tcp in the DSN becomes proxy.
//
// The function is registered with the driver, as it would be without seqguard.
// A function for one pool only goes into mysql.Config.DialFunc.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/go-sql-driver/mysql"

	seqguard "github.com/seqguard/mysql-seqguard"
)

// through dials by way of a proxy that understands CONNECT.
func through(proxy string) mysql.DialContextFunc {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", proxy)
		if err != nil {
			return nil, err
		}
		if err := connect(ctx, c, addr); err != nil {
			_ = c.Close()
			return nil, fmt.Errorf("proxy %s: %w", proxy, err)
		}
		return c, nil
	}
}

// connect asks the proxy for a way to addr.
func connect(ctx context.Context, c net.Conn, addr string) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(10 * time.Second)
	}
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr}
	if err := req.Write(c); err != nil {
		return err
	}
	// MySQL speaks first: its greeting may be right behind the proxy's answer
	// and must stay in the socket.
	res, err := http.ReadResponse(bufio.NewReader(byteByByte{c}), req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return c.SetDeadline(time.Time{})
}

// byteByByte never reads more than it must, so that what is returned can be the
// socket itself: with a reader of our own around it neither the driver nor the
// guard could look into the socket before a command.
type byteByByte struct{ net.Conn }

func (c byteByByte) Read(b []byte) (int, error) { return c.Conn.Read(b[:min(1, len(b))]) }

func main() {
	proxy := flag.String("proxy", "127.0.0.1:3128", "the proxy")
	dsn := flag.String("dsn", "user:password@proxy(db.internal:3306)/shop", "the database, by the network proxy")
	flag.Parse()
	if err := run(*proxy, *dsn); err != nil {
		log.Fatal(err)
	}
}

func run(proxy, dsn string) error {
	mysql.RegisterDialContext("proxy", through(proxy))
	db, err := sql.Open(seqguard.DriverName, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	var version string
	if err := db.QueryRow("SELECT VERSION()").Scan(&version); err != nil {
		return err
	}
	fmt.Println("reached MySQL", version)
	return nil
}
