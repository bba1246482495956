//go:build (amd64 || arm64) && gc && !purego

package callers

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// bounds returns a pretended stack's.
func bounds(stack []uintptr) (lo, hi uintptr) {
	lo = uintptr(unsafe.Pointer(unsafe.SliceData(stack)))
	return lo, lo + 8*uintptr(len(stack))
}

func TestFollow(t *testing.T) {
	stack := make([]uintptr, 16)
	lo, hi := bounds(stack)
	at := func(i int) uintptr { return lo + 8*uintptr(i) }
	for _, c := range []struct {
		name  string
		words map[int]uintptr // of the stack
		fp    uintptr
		want  []uintptr
	}{
		{"whole chain", map[int]uintptr{2: at(5), 3: 20, 5: at(14), 6: 30, 14: 0, 15: 40}, at(2), []uintptr{10, 20, 30, 40}},
		{"no frame pointer", nil, 0, []uintptr{10}},
		{"below the stack", nil, lo - 8, []uintptr{10}},
		{"one word fits", nil, hi - 8, []uintptr{10}},
		{"above the stack", nil, hi, []uintptr{10}},
		{"far above the stack", nil, ^uintptr(7), []uintptr{10}},
		{"not aligned", nil, at(2) + 4, []uintptr{10}},
		{"points to itself", map[int]uintptr{2: at(2), 3: 20}, at(2), []uintptr{10, 20}},
		{"goes down", map[int]uintptr{5: at(2), 6: 20}, at(5), []uintptr{10, 20}},
		{"goes up by one word", map[int]uintptr{2: at(3), 3: at(4), 4: 0}, at(2), []uintptr{10, at(4)}},
		{"leaves the stack", map[int]uintptr{2: hi + 64, 3: 20}, at(2), []uintptr{10, 20}},
		{"loses alignment", map[int]uintptr{2: at(5) + 1, 3: 20}, at(2), []uintptr{10, 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clear(stack)
			for i, w := range c.words {
				stack[i] = w
			}
			got := make([]uintptr, 8)
			got = got[:follow(got, 10, c.fp, lo, hi)]
			if c.name == "goes up by one word" {
				got = got[:min(len(got), 2)] // and then as the words happen to lie
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %#x, want %#x", got, c.want)
			}
		})
	}
}

// followInGo is what the assembly does.
func followInGo(word func(addr uintptr) uintptr, room int, pc, fp, lo, hi uintptr) (pcs []uintptr) {
	for len(pcs) < room {
		pcs = append(pcs, pc)
		if fp < lo || fp > hi-16 || fp%8 != 0 {
			break
		}
		pc, fp, lo = word(fp+8), word(fp), fp+8
	}
	return pcs
}

// Whatever lies on the stack, the walk ends, and reads nothing beside it.
func FuzzFollow(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, uint8(3*seed), uint8(40))
	}
	f.Fuzz(func(t *testing.T, seed uint64, words, room uint8) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		const guard = 64
		all := make([]uintptr, guard+int(words)+guard)
		base, _ := bounds(all)
		for i := range all {
			switch rnd.IntN(8) {
			case 0:
				all[i] = uintptr(rnd.Uint64())
			case 1:
				all[i] = base + uintptr(rnd.IntN(8*len(all))) // often not aligned
			default:
				all[i] = base + 8*uintptr(rnd.IntN(len(all)))
			}
		}
		stack := all[guard : guard+int(words)]
		lo, hi := bounds(stack)
		if words == 0 {
			lo, hi = base+8*guard, base+8*guard
		}
		pcs := make([]uintptr, int(room)+1)
		fp := base + 8*uintptr(rnd.IntN(len(all)))
		n := follow(pcs[:room], 10, fp, lo, hi)
		want := followInGo(func(addr uintptr) uintptr {
			if addr < lo || addr > hi-8 || addr%8 != 0 {
				t.Fatalf("a word is read at %#x, the stack is %#x to %#x", addr, lo, hi)
			}
			return all[(addr-base)/8]
		}, int(room), 10, fp, lo, hi)
		if !slices.Equal(pcs[:n], want) || pcs[room] != 0 {
			t.Fatalf("got %#x, want %#x", pcs[:n], want)
		}
	})
}

// A list that is cut short in the middle of inlined functions has them all.
func TestFramesOfTheLastAddressAreExpanded(t *testing.T) {
	var pcs [100]uintptr
	n := outer(pcs[:])
	whole := names(pcs[:n])
	for i := range n {
		before, after := names(pcs[:i]), names(pcs[i:n])
		if got := append(before, after...); strings.Join(got, " ") != strings.Join(whole, " ") {
			t.Fatalf("cut at %d: %v, want %v", i, got, whole)
		}
	}
	if !strings.Contains(strings.Join(whole, " "), "callers.innermost github.com/seqguard/mysql-seqguard/wrapconn/internal/callers.inner ") {
		t.Fatalf("the inlined function is missing: %v", whole)
	}
}

//go:noinline
func outer(pcs []uintptr) int { return inner(pcs) }

func inner(pcs []uintptr) int { return innermost(pcs) + 1 - 1 }

//go:noinline
func innermost(pcs []uintptr) int { return Record(pcs) }
