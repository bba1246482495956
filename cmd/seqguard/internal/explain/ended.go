package explain

import "github.com/seqguard/mysql-seqguard/wrapconn/conversation"

// ended is the end of a stream of binlog events. Its reader may have asked for it on
// another connection, and a capture may have that KILL behind the end that it caused:
// nothing in TCP orders two connections, and network cards with several queues do not.
type ended struct {
	c       *conn
	finding conversation.Finding
	gone    int64 // when the connection was over; 0 if it is not
}

const (
	// killGrace is how long, in nanoseconds of the capture, such an end waits for its KILL.
	killGrace = 100e6
	// maxEnded is how many wait. Beyond it the oldest one is told at once.
	maxEnded = 1024
)

// await has the end of c's stream of events wait.
func (x *explainer) await(c *conn, f conversation.Finding) {
	c.ended = &ended{c: c, finding: f}
	x.ended = append(x.ended, c.ended)
	if len(x.ended) > maxEnded {
		x.settleFirst()
	}
}

// settle tells the ends that have waited for long enough.
func (x *explainer) settle(now int64) {
	for len(x.ended) > 0 && now-x.ended[0].finding.Time.UnixNano() >= killGrace {
		x.settleFirst()
	}
}

// settleAll tells all of them: nothing more comes.
func (x *explainer) settleAll() {
	for len(x.ended) > 0 {
		x.settleFirst()
	}
}

func (x *explainer) settleFirst() {
	e := x.ended[0]
	x.ended[0] = nil
	x.ended = x.ended[1:]
	e.c.ended = nil
	e.c.tell(e.finding)
	if e.gone != 0 {
		e.c.over(e.gone)
	}
}
