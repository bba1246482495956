package conversation

import (
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// named is a login of a client that says who it is.
func named(name string) []segment {
	return []segment{
		fromServer(0, mysqltest.GreetingPayload(mysqltest.GreetingOptions{})), fromClient(1, loginBytes("_client_name", name)),
		fromServer(2, mysqltest.OKPayload(0, 0, 2, 0)),
	}
}

// B1, B4: who may send commands ahead is known from its login; who may not is
// reported, and by how much its answers may be off.
func TestPipeliningByNameOfTheLogin(t *testing.T) {
	two := []segment{
		fromClient(0, []byte("\x03SET a")), fromClient(0, []byte("\x03SELECT 1")),
		fromServer(1, mysqltest.OKPayload(0, 0, 2, 0)), fromServer(1, mysqltest.OKPayload(0, 0, 2, 0)),
	}
	for _, tt := range []struct {
		name   string
		option bool
		early  uint64
	}{
		{"MariaDB Connector/J", false, 0}, {"MariaDB connector/Node", false, 0}, {"mysql-connector-python", false, 1}, {"PyMySQL", true, 0},
	} {
		for _, cut := range []int{0, 1, 7} {
			c := New(Config{Client: cause.Client{Address: "10.0.0.7:4711"}, Vantage: cause.VantageProxy, Pipelining: tt.option})
			for _, p := range append(named(tt.name), two...) {
				for b := p.bytes; len(b) > 0; {
					n := len(b)
					if cut > 0 {
						n = min(n, cut)
					}
					c.Bytes(p.dir, b[:n], time.Millisecond)
					b = b[n:]
				}
			}
			s := c.State()
			if s.Early != tt.early || s.Phase != session.PhaseReady || s.Client.Name != tt.name || s.Counts != (Counts{}) {
				t.Errorf("%s: %d early, %s, %+v, %+v", tt.name, s.Early, s.Phase, s.Client, s.Counts)
			}
			found := c.Take()
			if len(found) != int(tt.early) {
				t.Errorf("%s: %d findings", tt.name, len(found))
			}
			for _, f := range found {
				if d := f.Diagnose(); d.Slug != "concurrent_use" {
					t.Errorf("%s: %s", tt.name, d.Slug)
				}
			}
		}
	}
}

// 4.4: MySQL says 1158 to a client that closed its half without COM_QUIT.
func TestFault4_04WordsToAClientThatLeft(t *testing.T) {
	w := newWatch(another())
	w.say(append(named("aiomysql"), selectOne()...)...)
	w.End(session.FromClient, cause.StreamEOF, nil, time.Second)
	w.say(fromServer(0, mysqltest.ERRPayload(1158, "08S01", "Got an error reading communication packets")))
	w.End(session.FromServer, cause.StreamEOF, nil, 2*time.Second)
	fine(t, w.Conversation)
}
