package explain

import (
	"fmt"
	"time"

	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/reassemble"
	"github.com/seqguard/mysql-seqguard/cmd/seqguard/internal/report"
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// near is a round trip within one machine.
const near = 100 * time.Microsecond

// vantage works out where the capture was taken. At the client's end its SYN waits
// a round trip for its answer, which the client acknowledges at once; at the
// server's end it is the other way round.
func (x *explainer) vantage(f *reassemble.Flow) cause.Vantage {
	client := f.Ends[reassemble.Client]
	if client.Loopback() {
		return cause.VantageClientHost
	}
	if f.SYN == 0 || f.SYNACK == 0 || f.ACKed == 0 {
		if v, ok := x.hosts[client.IP]; ok { // as the client's other connections say
			return v
		}
		return cause.VantageBetween
	}
	there, back := f.SYNACK-f.SYN, f.ACKed-f.SYNACK
	v := cause.VantageBetween
	switch {
	case there+back < int64(near):
		v = cause.VantageClientHost // both ends are here
	case back < there/4:
		v = cause.VantageClientHost
	case there < back/4:
		v = cause.VantageServerHost
	}
	if len(x.hosts) > 4096 {
		clear(x.hosts)
	}
	x.hosts[client.IP] = v
	return v
}

// vantageNote says what the place of the capture means for what can be said.
func vantageNote(v cause.Vantage, f *reassemble.Flow) string {
	trip := "its handshake is not in the capture"
	if f.SYN != 0 && f.SYNACK != 0 && f.ACKed != 0 {
		trip = fmt.Sprintf("SYN to SYN/ACK %s, SYN/ACK to ACK %s",
			report.Duration(time.Duration(f.SYNACK-f.SYN)), report.Duration(time.Duration(f.ACKed-f.SYNACK)))
	}
	switch v {
	case cause.VantageServerHost:
		return "captured at the server's end (" + trip + "): a client that pauses and a network that loses or delays its packets look the same from here"
	case cause.VantageBetween:
		return "captured somewhere between the two, or it is not known where (" + trip + "): a pause may be of one end, or of the network beyond this point"
	}
	return ""
}
