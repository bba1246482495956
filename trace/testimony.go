package trace

import (
	"github.com/seqguard/mysql-seqguard/wrapconn/cause"
)

// tcp is what the kernel said of the connection.
func (a *attrs) tcp(t *cause.Transport) {
	if !t.Known {
		return
	}
	a.str(KeyTCPDelivery, t.Delivery().String())
	a.str(KeyTCPState, t.State.String())
	a.num(KeyTCPWritten, int64(t.Written))
	a.num(KeyTCPAcked, int64(t.Acked))
	a.positive(KeyTCPNotSent, int64(t.NotSent))
	a.num(KeyTCPRetransmitted, int64(t.Retransmitted))
	a.positive(KeyTCPUnanswered, int64(t.Unanswered))
	a.ms(KeyTCPRTT, t.RTT)
	a.ms(KeyTCPLeastRTT, t.LeastRTT)
	a.duration(KeyTCPSinceData, t.SinceData)
	a.duration(KeyTCPSinceAck, t.SinceAck)
}

// stall is what kept this process from running.
func (a *attrs) stall(e *cause.Evidence) {
	s := &e.Stall
	if !s.Known {
		return
	}
	a.str(KeyStallCause, s.Cause(e.Pause()).String())
	a.duration(KeyStallWindow, s.Window)
	if s.ThrottleKnown {
		a.duration(KeyStallThrottled, s.Throttled)
		a.num(KeyStallPeriods, int64(s.Periods))
		if s.CPULimit > 0 {
			a.add(KeyStallLimit.Float64(s.CPULimit))
		}
	}
	if s.WaitKnown {
		a.duration(KeyStallWaited, s.Waited)
	}
	a.ms(KeyStallPressure, s.Pressure)
	a.ms(KeyStallRan, s.Ran)
	a.ms(KeyStallGC, s.LongestGC)
	a.ms(KeyStallScheduler, s.SchedLatency)
	a.ms(KeyStallLate, s.Late)
	a.str(KeyStallWhere, s.Stack)
}

// postMortem is what the server said when it was asked afterwards.
func (a *attrs) postMortem(p *cause.PostMortem) {
	if !p.Asked {
		return
	}
	a.duration(KeyServerAskedAfter, p.After)
	if p.Failure != "" {
		a.str(KeyServerAsked, p.Failure)
		return
	}
	a.str(KeyServerAsked, "answered")
	if p.UptimeKnown {
		a.duration(KeyServerUptime, p.Uptime)
	}
	if p.ThreadKnown {
		a.flag(KeyServerThread, p.ThreadFound)
		if p.ThreadFound {
			a.str(KeyServerThreadCommand, p.ThreadCommand)
			a.str(KeyServerThreadState, p.ThreadState)
			a.duration(KeyServerThreadTime, p.ThreadTime)
			a.str(KeyServerThreadStatement, p.Statement)
		}
	}
	a.ms(KeyServerConnectTimeout, p.ConnectTimeout)
	a.ms(KeyServerReadTimeout, p.NetReadTimeout)
	a.ms(KeyServerWriteTimeout, p.NetWriteTimeout)
	a.ms(KeyServerWaitTimeout, p.WaitTimeout)
	a.positive(KeyServerMaxPacket, p.MaxAllowedPacket)
	if p.UptimeKnown { // told together with these
		a.num(KeyServerAbortedClients, p.AbortedClients)
		a.num(KeyServerAbortedConnects, p.AbortedConnects)
	}
	if p.MaxAllowedPacket > 0 { // a server that shows its variables has all of them, MariaDB without the second
		a.flag(KeyServerReadOnly, p.ReadOnly)
		a.flag(KeyServerOffline, p.Offline)
	}
}

// held is who keeps connections from others.
func (a *attrs) held(e *cause.Evidence) {
	a.ms(KeyHeld, e.Held)
	a.str(KeyHeldAs, e.HeldAs)
	if e.PoolWaits > 0 {
		a.num(KeyPoolWaits, e.PoolWaits)
		a.duration(KeyPoolWaited, e.PoolWaited)
		a.num(KeyPoolInUse, int64(e.PoolInUse))
		a.num(KeyPoolLimit, int64(e.PoolLimit))
	}
}
