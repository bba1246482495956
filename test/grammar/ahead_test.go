package grammar_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/conversation"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// watched is a connection that tells a conversation what passes.
type watched struct {
	net.Conn
	start time.Time

	mu      sync.Mutex
	talk    *conversation.Conversation
	packets []conversation.Packet
}

func (w *watched) look(dir session.Direction, b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.talk.Bytes(dir, b, time.Since(w.start))
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.look(session.FromServer, b[:n])
	return n, err
}

func (w *watched) Write(b []byte) (int, error) {
	w.look(session.FromClient, b)
	return w.Conn.Write(b)
}

// watch logs in as a client of this name, and gives up the driver that did it.
func watch(t *testing.T, server *mysqltest.Instance, name string, compress bool) *watched {
	t.Helper()
	return watchAs(t, server.DSN(""), name, compress)
}

func watchAs(t *testing.T, dsn, name string, compress bool) *watched {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxAllowedPacket = 1 << 20
	if err := cfg.Apply(mysql.EnableCompression(compress)); err != nil {
		t.Fatal(err)
	}
	w := &watched{start: time.Now()}
	w.talk = conversation.New(conversation.Config{
		Start: w.start, Client: cause.Client{Address: "127.0.0.1:1", Name: name}, Vantage: cause.VantageProxy,
		OnPacket: func(p conversation.Packet) { w.packets = append(w.packets, p) },
	})
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		w.Conn = c
		return w, err
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := connector.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return w
}

// answers reads until so many commands are answered.
func (w *watched) answers(t *testing.T, n uint64) {
	t.Helper()
	if err := w.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		w.mu.Lock()
		s := w.talk.State()
		w.mu.Unlock()
		if s.Commands >= n && s.Pending == 0 {
			return
		}
		if _, err := w.Read(buf); err != nil {
			t.Fatalf("%v: %s, %d pending", err, s.Phase, s.Pending)
		}
	}
}

// B1, B3, B4: what clients were seen to send ahead, to real servers.
func TestClientsThatSendAhead(t *testing.T) {
	const select1 = "\x03SELECT 1"
	mysqltest.ForEachServer(t, func(t *testing.T, server *mysqltest.Instance) {
		mariaDB := server.Kind == mysqltest.MariaDB
		for _, tt := range []struct {
			name   string
			client string
			writes [][]string // packets of one write
			only   bool       // on MariaDB
			early  uint64
		}{
			{name: "B4 two at once", client: "MariaDB Connector/J", writes: [][]string{{"\x03SET @a = 1", select1}}},
			{name: "B1 two segments", client: "MariaDB connector/Node", writes: [][]string{{select1}, {select1, select1}}},
			{name: "B3 EXECUTE of the statement that is being prepared", writes: [][]string{{"\x16SELECT 1", "\x17\xff\xff\xff\xff\x00\x01\x00\x00\x00"}, {"\x19\xff\xff\xff\xff"}}, only: true},
			{name: "B3 of one that fails", writes: [][]string{{"\x16SELECT nothing", "\x17\xff\xff\xff\xff\x00\x01\x00\x00\x00"}}, only: true},
			{name: "B4 a batch", client: "MariaDB Connector/J", writes: func() (all [][]string) {
				for range 10 {
					all = append(all, []string{select1, "\x0e", select1, select1, "\x03nonsense", select1, "\x1f", select1, select1, select1})
				}
				return all
			}()},
			{name: "B9 of a client that must not", client: "aiomysql", writes: [][]string{{select1}, {select1}, {select1}}, early: 2},
		} {
			if tt.only && !mariaDB {
				continue
			}
			for _, form := range []string{"plain", "compressed"} {
				t.Run(tt.name+"/"+form, func(t *testing.T) {
					w := watch(t, server, tt.client, form != "plain")
					commands := w.talk.State().Commands
					for _, packets := range tt.writes {
						var b []byte
						for _, p := range packets {
							commands++
							if p := mysqltest.Packet(0, []byte(p)); form == "plain" {
								b = append(b, p...)
							} else {
								b = append(b, kit.Frame(0, p)...)
							}
						}
						if _, err := w.Write(b); err != nil {
							t.Fatal(err)
						}
					}
					w.answers(t, commands)
					s := w.talk.State()
					if s.Counts != (conversation.Counts{}) || s.Phase != session.PhaseReady || s.Early != tt.early {
						t.Errorf("%s, %+v, %d early", s.Phase, s.Counts, s.Early)
					}
					found := w.talk.Take()
					if tt.early == 0 && len(found) > 0 || tt.early > 0 && len(found) == 0 {
						t.Errorf("%d findings", len(found))
					}
					for _, f := range found {
						d := f.Diagnose()
						if tt.early == 0 || d.Slug != "concurrent_use" || !strings.Contains(d.Explanation, "the answer to a question it asked up to") {
							t.Errorf("%s: %s", d.Slug, d.Explanation)
						}
					}
				})
			}
		}
	})
}
