package causes_test

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/seqguard/mysql-seqguard/internal/kit"
	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
	"github.com/seqguard/mysql-seqguard/wrapconn"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// misnumber gives the packet that match finds a wrong number.
func misnumber(match func(p []byte) bool) func(*wrapconn.Conn, []byte) {
	done := false
	return func(_ *wrapconn.Conn, p []byte) {
		if !done && match(p) {
			done = true
			p[3] += 3
		}
	}
}

// behindLong finds what follows a packet of the greatest length.
func behindLong() func([]byte) bool {
	long := false
	return func(p []byte) bool {
		was := long
		long = len(p) == 4+mysqltest.MaxPacket
		return was
	}
}

func isMarker(p []byte) bool { return bytes.Contains(p, []byte(marker)) }

// noise is text that neither compresses nor ends soon.
func noise(n int) string {
	b := make([]byte, n/2)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// load runs LOAD DATA LOCAL INFILE from a reader, into a table that is there or, on a real server, made for it.
func (r *causeRun) load(db *sql.DB, reader io.Reader, settings ...string) error {
	name := strings.NewReplacer("/", "_", " ", "_").Replace(r.Name())
	mysql.RegisterReaderHandler(name, func() io.Reader { return reader })
	defer mysql.DeregisterReaderHandler(name)
	c := kit.Pin(r.T, db)
	if r.server != nil {
		r.must(c, "CREATE TEMPORARY TABLE causes_infile (v VARCHAR(300))")
		for _, s := range settings {
			r.must(c, "SET SESSION "+s)
		}
	}
	_, err := c.ExecContext(r.ctx(), "LOAD DATA LOCAL INFILE 'Reader::"+name+"' INTO TABLE causes_infile")
	return err
}

// lines are a file of many lines.
func lines(n int) io.Reader {
	var b strings.Builder
	for text := noise(n); text != ""; text = text[min(200, len(text)):] {
		b.WriteString(text[:min(200, len(text))] + "\n")
	}
	return strings.NewReader(b.String())
}

// slowly pauses behind its first bytes.
type slowly struct {
	first io.Reader
	pause time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	n, err := s.first.Read(p)
	if err == io.EOF && s.pause > 0 {
		time.Sleep(s.pause) // the fault
		s.pause = 0
		s.first = strings.NewReader(strings.Repeat("7\n", 100_000))
		return s.first.Read(p)
	}
	return n, err
}

// asksFile asks for a file, reads n packets of it, and answers.
func asksFile(n int, answer mysqltest.Step) mysqltest.Step {
	ask := mysqltest.Do("the file's name", func(s *mysqltest.Session) error {
		_, name, _ := strings.Cut(string(s.Payload), "'")
		name, _, _ = strings.Cut(name, "'")
		return s.WritePacket(mysqltest.Next, []byte("\xfb"+name))
	})
	steps := []mysqltest.Step{mysqltest.ExpectPacket(), ask}
	for range n {
		steps = append(steps, mysqltest.ExpectPacket())
	}
	return mysqltest.Steps(append(steps, answer)...)
}

// sendingCases are about what this side sent and how it arrived.
var sendingCases = []causeCase{
	{slug: "packet_too_large", by: byServer, on: onBoth, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1153", "max_allowed_packet", "maxAllowedPacket"},
		run: func(r *causeRun) error {
			size := 20_000_000
			if r.mode == compressed {
				size = 12_000_000 // to compress takes its time
			}
			return r.untilRefused(func() error {
				return r.exec(r.direct("maxAllowedPacket=67108864", nil), "DO LENGTH('"+noise(size)+"')")
			})
		}},
	{slug: "packet_too_large", by: byScript, modes: []causeMode{plain, secure},
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1153", "max_allowed_packet"},
		run: func(r *causeRun) error {
			db := r.serve("maxAllowedPacket=67108864", mysqltest.ExpectPacket(), mysqltest.SendERR(1, 1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes"))
			return r.exec(db, "DO LENGTH('"+strings.Repeat("x", 17_000_000)+"')")
		}},
	{slug: "split_packet_misnumbered", by: byClient, on: onBoth, modes: []causeMode{plain}, bare: true, alone: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"left this process with 4 where 1 was due"},
		run: func(r *causeRun) error {
			return r.exec(r.faulty(r.server.Addr, false, misnumber(behindLong())), "DO LENGTH('"+strings.Repeat("x", 17_000_000)+"')")
		}},
	{slug: "split_packet_misnumbered", by: byScript, modes: []causeMode{plain}, bare: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"left this process with 4 where 1 was due"},
		run: func(r *causeRun) error {
			server := mysqltest.ServeEvery(r.T, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ExpectPacket(), mysqltest.ExpectPacket(), mysqltest.Close())
			return r.exec(r.faulty(server.Addr, false, misnumber(behindLong())), "DO LENGTH('"+strings.Repeat("x", 17_000_000)+"')")
		}},
	{slug: "client_misnumbered", by: byClient, on: onBoth, modes: []causeMode{plain}, bare: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"number 3 where 0 was due", "client library"},
		run: func(r *causeRun) error { return r.exec(r.faulty(r.server.Addr, false, misnumber(isMarker)), marker) }},
	{slug: "client_misnumbered", by: byScript, modes: []causeMode{plain}, bare: true,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"number 3 where 0 was due"},
		run: func(r *causeRun) error {
			server := mysqltest.ServeEvery(r.T, mysqltest.Login(mysqltest.GreetingOptions{}), mysqltest.ExpectPacket(), mysqltest.SendERR(1, 1156, "08S01", "Got packets out of order"))
			return r.exec(r.faulty(server.Addr, false, misnumber(isMarker)), marker)
		}},
	{slug: "renumbered_on_the_way", by: byRelay, on: onBoth, modes: []causeMode{plain, compressed},
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1156", "right numbers", "past it"},
		run: renumberedLogin},
	// What the server does not read then is the request for TLS; its word is the same for other reasons.
	{slug: "tls_failed", by: byRelay, on: onBoth, modes: []causeMode{secure},
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1156", "right numbers", "past what is in between", "PROXY header"},
		run: renumberedLogin},
	{slug: "renumbered_on_the_way", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedNo, safe: true, says: []string{"1156", "right numbers"},
		run: func(r *causeRun) error {
			return r.connect(r.script("", expectLogin(mysqltest.SendERR(r.due(1), 1156, "08S01", "Got packets out of order"))...))
		}},
	{slug: "upload_interrupted", by: byServer, on: onMySQL, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"1159", "net_read_timeout", "reader"},
		run: func(r *causeRun) error {
			return r.load(r.direct("", nil), &slowly{first: strings.NewReader("7\n"), pause: 3 * time.Second}, "net_read_timeout = 1")
		}},
	{slug: "upload_interrupted", by: byScript, modes: []causeMode{plain, secure},
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"1159", "net_read_timeout"},
		run: func(r *causeRun) error {
			return r.load(r.serve("", asksFile(1, mysqltest.SendERR(3, 1159, "08S01", "Got timeout reading communication packets"))), lines(1_000_000))
		}},
	{slug: "compression_corrupt", by: byRelay, on: onBoth, modes: []causeMode{compressed},
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"compressed frame is broken", "compress=true"},
		run: func(r *causeRun) error {
			broken := []byte{5, 0, 0, 1, 100, 0, 0, 1, 2, 3, 4, 5} // 5 bytes that should be 100 and are not of zlib
			return r.exec(r.relayed("", onAnswer(answer(mysqltest.Action{Drop: true, After: broken}))), marker)
		}},
	{slug: "compression_corrupt", by: byScript, modes: []causeMode{compressed},
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"compressed frame is broken"},
		run: func(r *causeRun) error {
			return r.exec(r.serve("", mysqltest.ExpectPacket(), mysqltest.Do("a broken frame", func(s *mysqltest.Session) error {
				_, err := s.Conn.(*kit.CompressedConn).Conn.Write([]byte{5, 0, 0, 1, 100, 0, 0, 1, 2, 3, 4, 5})
				return err
			})), "DO 1")
		}},
	{slug: "local_infile_partial", by: byServer, on: onBoth, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedYes, safe: false, says: []string{"has loaded, and keeps", "roll back", kit.ErrDisk.Error()},
		run: func(r *causeRun) error {
			return r.load(r.direct("", nil), io.MultiReader(strings.NewReader("7\n7\n"), kit.FailingReader{}))
		}},
	{slug: "local_infile_partial", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedYes, safe: false, says: []string{"has loaded, and keeps", kit.ErrDisk.Error()},
		run: func(r *causeRun) error {
			return r.load(r.serve("", asksFile(2, mysqltest.SendOK(mysqltest.Next))), io.MultiReader(strings.NewReader("7\n7\n"), kit.FailingReader{}))
		}},
	{slug: "local_infile_aborted", by: byRelay, on: onBoth, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"LOAD DATA LOCAL INFILE was being sent", "net_read_timeout"},
		run: func(r *causeRun) error {
			return r.load(r.relayed("", mysqltest.AtByte(mysqltest.FromClient, 500_000, mysqltest.Cut)), lines(8_000_000))
		}},
	{slug: "local_infile_aborted", by: byScript, modes: everyMode,
		severity: cause.Error, executed: cause.ExecutedUnknown, safe: false, says: []string{"LOAD DATA LOCAL INFILE was being sent"},
		run: func(r *causeRun) error {
			return r.load(r.serve("", asksFile(1, mysqltest.Close())), lines(8_000_000))
		}},
}

// renumberedLogin connects through a relay that gives the client's first packet another number.
func renumberedLogin(r *causeRun) error {
	return r.untilRefused(func() error {
		return r.connect(r.relayed("", mysqltest.OnPacket(mysqltest.FromClient, 0, mysqltest.Action{Renum: true, Seq: 0})))
	})
}

// untilRefused does again what the server refuses and leaves partly unread. It closes with that, which makes a reset, and a reset may overtake the
// ERR: then the case is another one.
func (r *causeRun) untilRefused(do func() error) error {
	for range 5 {
		r.reports = &kit.Collector{}
		err := do()
		if rep := reportOf(r, err); rep == nil || rep.Evidence.ServerError != nil {
			return err
		}
		r.Logf("the ERR was lost: %v", err)
	}
	return errors.New("the ERR was lost five times")
}
