package mysqltest

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel kill the process when the test binary ends without having stopped it (a panic, a time-out).
func endWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
