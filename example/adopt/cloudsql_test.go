package adopt

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"cloud.google.com/go/cloudsqlconn"
	"github.com/go-sql-driver/mysql"
	"golang.org/x/oauth2"
)

var errNoCloud = errors.New("no cloud in a test")

type noCloud struct{}

func (noCloud) RoundTrip(*http.Request) (*http.Response, error) { return nil, errNoCloud }

// The connector's dialer is asked; there is no cloud behind it here, and that is
// what the error says.
func TestCloudSQL(t *testing.T) {
	d, err := cloudsqlconn.NewDialer(ctx(t),
		cloudsqlconn.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "t"})), cloudsqlconn.WithHTTPClient(&http.Client{Transport: noCloud{}}))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	mysql.RegisterDialContext("cloudsqlconn", func(ctx context.Context, instance string) (net.Conn, error) { return d.Dial(ctx, instance) })
	defer mysql.DeregisterDialContext("cloudsqlconn")
	db, err := sql.Open("mysql-seqguard", "user:password@cloudsqlconn(project:region:instance)/shop")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.PingContext(ctx(t)); err == nil || !strings.Contains(err.Error(), "project:region:instance") || strings.Contains(err.Error(), "seqguard") {
		t.Errorf("%v", err)
	}
}
