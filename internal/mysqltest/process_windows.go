package mysqltest

import "os/exec"

func setUser(*exec.Cmd, ids) {}
