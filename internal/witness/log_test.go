package witness

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

const db = "db:3306"

var day = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return day.Add(d) }

func TestAround(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		name string
		seen func(l *Log) (id uint64)
		want cause.Siblings
	}{
		{"alone", func(l *Log) uint64 { return l.Ended(db, End{At: at(0)}) }, cause.Siblings{}},
		{"in company, before and after", func(l *Log) uint64 {
			l.Ended(db, End{At: at(-90 * ms)})
			id := l.Ended(db, End{At: at(0)})
			l.Ended(db, End{At: at(30 * ms), Large: true})
			l.Ended("other:3306", End{At: at(0)})
			l.Ended(db, End{At: at(1500 * ms)})
			return id
		}, cause.Siblings{Ended: 2, Large: 1, Spread: 120 * ms}},
		{"3.2 found long after is no company", func(l *Log) uint64 {
			for range 5 {
				l.Ended(db, End{At: at(-ms), Window: time.Minute})
			}
			return l.Ended(db, End{At: at(0)})
		}, cause.Siblings{}},
		{"3.2 found long after has no company", func(l *Log) uint64 {
			for range 5 {
				l.Ended(db, End{At: at(-ms)})
			}
			return l.Ended(db, End{At: at(0), Window: time.Minute})
		}, cause.Siblings{}},
		{"3.3 the same limit", func(l *Log) uint64 {
			l.Ended(db, End{At: at(-90 * ms), Ran: 2010 * ms})
			l.Ended(db, End{At: at(90 * ms), Ran: 1990 * ms})
			return l.Ended(db, End{At: at(0), Ran: 2000 * ms})
		}, cause.Siblings{Ended: 2, Spread: 180 * ms, SameRun: true}},
		{"others went on for a while, and ended, too", func(l *Log) uint64 {
			id := l.Ended(db, End{At: at(0), Made: at(-time.Minute), Answered: at(-10 * ms)})
			l.Ended(db, End{At: at(200 * ms), Made: at(-time.Minute), Answered: at(180 * ms)})
			l.Ended(db, End{At: at(700 * ms), Made: at(400 * ms), Answered: at(600 * ms)}) // made since
			return id
		}, cause.Siblings{Ended: 2, Spread: 700 * ms, LivedOn: 180 * ms}},
		{"the server is up", func(l *Log) uint64 {
			id := l.Ended(db, End{At: at(0)})
			l.Answered(db, at(-time.Minute), at(20*ms))
			l.LoggedIn(db, at(30*ms))
			return id
		}, cause.Siblings{AnsweredAfter: 20 * ms, LoggedInAfter: 30 * ms}},
		{"it ended while it was idle, in a crash, and the server is back", func(l *Log) uint64 {
			l.Refused(db, at(-600*ms))
			l.LoggedIn(db, at(-300*ms))
			l.Answered(db, at(-300*ms), at(20*ms)) // of one that was made since
			return l.Ended(db, End{At: at(0), Window: 900 * ms})
		}, cause.Siblings{Refused: true}},
		{"a sign of life from before says nothing", func(l *Log) uint64 {
			l.Answered(db, at(-time.Minute), at(-20*ms))
			l.LoggedIn(db, at(-30*ms))
			return l.Ended(db, End{At: at(0)})
		}, cause.Siblings{}},
		{"refused after", func(l *Log) uint64 {
			id := l.Ended(db, End{At: at(0)})
			l.Refused(db, at(50*ms))
			return id
		}, cause.Siblings{Refused: true}},
		{"refused before, as in an orderly shutdown", func(l *Log) uint64 {
			l.Refused(db, at(-800*ms))
			return l.Ended(db, End{At: at(0)})
		}, cause.Siblings{Refused: true}},
		{"refused before, but a login succeeded since", func(l *Log) uint64 {
			l.Refused(db, at(-800*ms))
			l.LoggedIn(db, at(-500*ms))
			return l.Ended(db, End{At: at(0)})
		}, cause.Siblings{}},
		{"refused before the connection was made", func(l *Log) uint64 {
			l.Refused(db, at(-2001*ms))
			return l.Ended(db, End{At: at(0), Window: time.Minute})
		}, cause.Siblings{}},
		{"restarted", func(l *Log) uint64 {
			id := l.Ended(db, End{At: at(0)})
			l.Refused(db, at(50*ms))
			l.LoggedIn(db, at(200*ms))
			return id
		}, cause.Siblings{Refused: true, LoggedInAfter: 200 * ms}},
		{"offline", func(l *Log) uint64 {
			id := l.Ended(db, End{At: at(0)})
			l.Told(db, 3032, at(50*ms))
			return id
		}, cause.Siblings{Told: 3032}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l Log
			id := tt.seen(&l)
			tt.want.Looked = 300 * ms
			if got := l.Around(db, id, at(-2*time.Second), at(300*ms)); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestBounded: neither many ends nor many servers make it grow.
func TestBounded(t *testing.T) {
	var l Log
	for i := range 10 * maxEnds {
		l.Ended(db, End{At: at(time.Duration(i))})
	}
	if n := len(l.servers[db].ends); n > maxEnds {
		t.Errorf("%d ends kept", n)
	}
	for i := range maxServers + 50 {
		for range 10 {
			l.Ended(fmt.Sprintf("db%d:3306", i), End{At: at(0)})
		}
	}
	kept := 0
	for _, s := range l.servers {
		kept += len(s.ends)
	}
	if kept > maxAll || kept != l.total {
		t.Errorf("%d ends kept, %d counted", kept, l.total)
	}
	if n := len(l.servers); n > maxServers {
		t.Errorf("%d servers kept", n)
	}
	// Old ones make room.
	id := l.Ended("new:3306", End{At: at(time.Hour)})
	if got := l.Around("new:3306", id, at(0), at(time.Hour)); got.Looked == 0 {
		t.Error("no room for a new server")
	}
	l.Ended(db, End{At: at(2 * time.Hour)})
	if n := len(l.servers[db].ends); n != 1 {
		t.Errorf("%d ends kept of an hour ago", n)
	}
	if got := l.Around(db, 1, at(0), at(0)); got != (cause.Siblings{}) {
		t.Errorf("of an end that is forgotten: %+v", got)
	}
}

// TestRoomForOthers: what is not kept takes no room, and what is too old gives it back, whichever server it is of.
func TestRoomForOthers(t *testing.T) {
	known := func(l *Log, server string, now time.Duration) bool {
		id := l.Ended(server, End{At: at(now)})
		return l.Around(server, id, at(0), at(now)).Looked > 0
	}
	var l Log
	for i := range maxServers {
		l.LoggedIn(fmt.Sprintf("db%d:3306", i), at(0))
	}
	for range maxAll + 1 {
		if known(&l, "one more:3306", 0) {
			t.Fatal("there is room for more servers than the bound: the test tests nothing")
		}
	}
	if !known(&l, "db0:3306", time.Second) {
		t.Error("the ends of a server that is not remembered have taken the room of one that is")
	}

	l = Log{}
	for i := range maxAll / maxEnds {
		for range maxEnds {
			l.Ended(fmt.Sprintf("db%d:3306", i), End{At: at(0)})
		}
	}
	if known(&l, "one more:3306", time.Second) {
		t.Error("more ends are kept than the bound")
	}
	for i := range maxAll / maxEnds { // each is up again
		l.LoggedIn(fmt.Sprintf("db%d:3306", i), at(time.Hour))
	}
	if !known(&l, "one more:3306", time.Hour) {
		t.Error("ends of an hour ago leave no room for one of now")
	}
}

func TestConcurrent(t *testing.T) {
	var l Log
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 200 {
				now := at(time.Duration(i*j) * time.Millisecond)
				id := l.Ended(db, End{At: now})
				l.Refused(db, now)
				l.LoggedIn(db, now)
				l.Answered(db, at(-time.Minute), now)
				l.Told(db, 1053, now)
				l.Around(db, id, at(0), now)
			}
		})
	}
	all.Wait()
	id := l.Ended(db, End{At: at(time.Hour)})
	if got := l.Around(db, id, at(0), at(time.Hour)); got.Ended != 0 || got.Looked == 0 {
		t.Errorf("%+v", got)
	}
}
