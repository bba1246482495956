package testimony_test

// victim reports whether this process is one that a test started to be held up,
// and does what such a process does.
func victim() bool { return false }
