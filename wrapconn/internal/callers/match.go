package callers

import "runtime"

// Match finds, among the stacks of a goroutine profile, those that can be of the
// goroutine whose call was recorded in pcs: it is still in a function in which it
// was then, and everything outside of that is as it was. Of those that share
// different numbers of frames, the ones with most are returned.
//
// The two lists need not be of the same form: of a physical frame in which
// functions were inlined, a profile has an entry for each of them, and Record has
// one, which is the first of those.
func Match(stacks [][]uintptr, pcs []uintptr) (found []int) {
	best := 0
	pcs = written(pcs)
	for i, s := range stacks {
		n := shared(s, pcs)
		if n == 0 || n < best {
			continue
		}
		if n > best {
			best, found = n, found[:0]
		}
		found = append(found, i)
	}
	return found
}

// written returns the entries of functions that somebody wrote: a profile leaves
// out what the compiler made.
func written(pcs []uintptr) (out []uintptr) {
	for _, pc := range pcs {
		f, _ := runtime.CallersFrames([]uintptr{pc, 0}).Next()
		if f.Function != "" && !generated(f) {
			out = append(out, pc)
		}
	}
	return out
}

// profileDepth is how many entries a runtime.StackRecord has room for.
const profileDepth = len(runtime.StackRecord{}.Stack0)

// shared is how many frames, counted from outside, stack has in common with pcs,
// if the next one is in the same function; else 0.
func shared(stack, pcs []uintptr) int {
	n, j := 0, len(stack)
	i := len(pcs) - 1
	for ; i >= 0; i-- {
		at := lastIndex(stack[:j], pcs[i])
		if at < 0 {
			if n == 0 && len(stack) == profileDepth {
				continue // the outer end of the stack was cut off
			}
			break
		}
		j, n = at, n+1
	}
	if n == 0 || i < 0 || j == 0 {
		return 0
	}
	// Entries of inlined functions have no frame of their own in pcs.
	f := entry(pcs[i])
	for k := j - 1; k >= 0 && k >= j-maxInlined; k-- {
		if f != 0 && entry(stack[k]) == f {
			return n
		}
	}
	return 0
}

// maxInlined is how many functions are inlined into one at most, as far as they
// are looked through.
const maxInlined = 4

func lastIndex(s []uintptr, pc uintptr) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == pc {
			return i
		}
	}
	return -1
}

// entry is where the function of a return address begins, or 0.
func entry(pc uintptr) uintptr {
	if f := runtime.FuncForPC(pc - 1); f != nil {
		return f.Entry()
	}
	return 0
}
