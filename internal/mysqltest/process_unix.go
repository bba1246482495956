//go:build unix

package mysqltest

import (
	"os/exec"
	"syscall"
)

func setUser(cmd *exec.Cmd, id ids) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id.uid, Gid: id.gid}}
}
