package mysqltest

import "time"

// Later is a step that plays steps when happen is called, once, behind what the test has read before; happen returns when what was
// sent, or the end, has arrived. A delay in its place guesses how long the client needs, and a client on a busy machine needs longer:
// it reads both in one piece.
func Later(steps ...Step) (step Step, happen func()) {
	now, sent := make(chan struct{}), make(chan struct{})
	return Steps(WaitFor(now), Steps(steps...), Signal(sent)), func() {
		close(now)
		<-sent
		// Loopback delivers within the write, or in a thread of the kernel's that has to get its turn.
		time.Sleep(20 * time.Millisecond)
	}
}
