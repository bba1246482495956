package wire_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seqguard/mysql-seqguard/wrapconn/session"
)

// capture is a tshark that writes down what passes on the loopback interface.
type capture struct {
	cmd  *exec.Cmd
	file string
	addr string // of the server
	port string
}

// startCapture skips the test if tshark is missing or may not capture; with
// SEQGUARD_REQUIRE_SERVERS=1 the test fails.
func startCapture(t *testing.T, addr string) *capture {
	t.Helper()
	give := t.Skipf
	if os.Getenv("SEQGUARD_REQUIRE_SERVERS") == "1" {
		give = t.Fatalf
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		give("NOT TESTED: what the guard sees against an independent decoder; there is no tshark. Get it with: apt-get install tshark")
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &capture{file: filepath.Join(t.TempDir(), "capture.pcapng"), addr: addr, port: port}
	// -B: megabytes of buffer; packets of 16 MiB come at memory speed.
	c.cmd = exec.Command("tshark", "-q", "-i", "lo", "-B", "256", "-f", "tcp port "+port, "-w", c.file)
	var said bytes.Buffer
	c.cmd.Stderr = &said
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.stop() })
	if !c.sees(30 * time.Second) {
		c.stop()
		give("NOT TESTED: what the guard sees against an independent decoder; tshark cannot capture on lo: %s", said.String())
	}
	return c
}

// sees waits until the capture file grows with a connection that is made now:
// tshark says that it captures before it does, and writes a moment later.
func (c *capture) sees(wait time.Duration) bool {
	before := int64(-1)
	for until := time.Now().Add(wait); time.Now().Before(until); time.Sleep(50 * time.Millisecond) { // somebody else writes the file
		if conn, err := net.Dial("tcp", c.addr); err == nil {
			_ = conn.Close()
		}
		fi, err := os.Stat(c.file)
		if err != nil {
			continue
		}
		if before >= 0 && fi.Size() > before+1000 {
			return true
		}
		if before < 0 {
			before = fi.Size()
		}
	}
	return false
}

// stop ends the capture once what has passed is in the file.
func (c *capture) stop() {
	if c.cmd.ProcessState != nil {
		return
	}
	for last, same := int64(-1), 0; same < 6; time.Sleep(100 * time.Millisecond) { // somebody else writes the file
		fi, err := os.Stat(c.file)
		if err != nil {
			break
		}
		if same++; fi.Size() != last {
			last, same = fi.Size(), 0
		}
	}
	_ = c.cmd.Process.Signal(os.Interrupt)
	_ = c.cmd.Wait()
}

// dissected is one MySQL packet as tshark sees it.
type dissected struct {
	frame    int
	client   bool // sent by the client
	length   int
	seq      int
	command  int // -1 if it is none
	response int // first byte of an answer, if tshark takes it for one; else -1
	code     int // of an ERR
	fields   map[string]bool
}

func (d dissected) String() string {
	s := fmt.Sprintf("frame %d, from the server: length %d, id %d", d.frame, d.length, d.seq)
	if d.client {
		s = fmt.Sprintf("frame %d, from the client: length %d, id %d", d.frame, d.length, d.seq)
	}
	if d.command >= 0 {
		s += fmt.Sprintf(", command %d", d.command)
	}
	if d.response >= 0 {
		s += fmt.Sprintf(", response %#02x", d.response)
	}
	if d.code > 0 {
		s += fmt.Sprintf(", ERR %d", d.code)
	}
	return s
}

var (
	pdmlName = regexp.MustCompile(`^\s*<(?:field|proto) name="([^"]*)"`)
	pdmlShow = regexp.MustCompile(` show="([^"]*)"`)
)

// dissect lets tshark decode the connection from a port of the client's.
func (c *capture) dissect(t *testing.T, client string, options ...string) []dissected {
	t.Helper()
	// Two processors of loopback put segments into the capture out of order.
	args := append([]string{"-r", c.file, "-Y", "mysql && tcp.port == " + client, "-d", "tcp.port==" + c.port + ",mysql",
		"-o", "tcp.reassemble_out_of_order:TRUE", "-T", "pdml", "-J", "frame tcp mysql"}, options...)
	cmd := exec.Command("tshark", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	list := parsePDML(t, out, client)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("tshark: %v: %s", err, said.String())
	}
	return list
}

// parsePDML reads it line by line, of each line only the beginning: a line with a
// payload has 32 MB.
func parsePDML(t *testing.T, out io.Reader, client string) []dissected {
	t.Helper()
	var list []dissected
	var now *dissected
	var frame int
	var fromClient bool
	r := bufio.NewReaderSize(out, 1<<16)
	for {
		b, err := r.ReadSlice('\n')
		line := string(b[:min(len(b), 2000)])
		for err == bufio.ErrBufferFull {
			_, err = r.ReadSlice('\n')
		}
		if m := pdmlName.FindStringSubmatch(line); m != nil {
			show := ""
			if s := pdmlShow.FindStringSubmatch(line); s != nil {
				show = s[1]
			}
			n := number(show)
			switch name := m[1]; {
			case strings.HasPrefix(strings.TrimSpace(line), "<proto"):
				now = nil
				if name == "mysql" {
					list = append(list, dissected{frame: frame, client: fromClient, command: -1, response: -1, fields: map[string]bool{}})
					now = &list[len(list)-1]
				}
			case name == "frame.number":
				frame = n
			case name == "tcp.srcport":
				fromClient = show == client
			case now != nil:
				now.set(name, n)
			}
		}
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (d *dissected) set(name string, n int) {
	d.fields[name] = true
	switch name {
	case "mysql.packet_length":
		d.length = n
	case "mysql.packet_number":
		d.seq = n
	case "mysql.command":
		d.command = n
	case "mysql.response_code":
		d.response = n
	case "mysql.error_code":
		d.code = n
	}
}

func number(s string) int {
	n, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		return 0
	}
	return int(n)
}

// kinds are those that the packet can be of according to tshark; none if it does
// not tell.
func (d dissected) kinds() []session.Kind {
	has := func(name string) bool { return d.fields["mysql."+name] }
	switch {
	case has("server_greeting"):
		return []session.Kind{session.KindGreeting}
	case has("login_request"):
		return []session.Kind{session.KindLogin, session.KindSSLRequest}
	case d.client:
		return nil
	case d.response == 0xFF:
		return []session.Kind{session.KindERR}
	case d.response == 0xFE: // with DEPRECATE_EOF an OK ends a result
		return []session.Kind{session.KindEOF, session.KindOK}
	case has("stmt_id"):
		return []session.Kind{session.KindPrepareOK}
	case d.response == 0:
		return []session.Kind{session.KindOK}
	case has("field.type"):
		return []session.Kind{session.KindColumn, session.KindParameter}
	case has("num_fields"):
		return []session.Kind{session.KindColumnCount}
	case has("row.text"):
		return []session.Kind{session.KindRow}
	}
	return nil
}
