//go:build gc && !purego

#include "textflag.h"

// func Record(pcs []uintptr) int
//
// A Go function keeps its caller's frame pointer where R29 points, and its
// return address one word above. Record has no frame of its own: R29 is still
// the caller's, and its own return address is in the link register. It is never
// preempted in the middle, because assembly has no safe points, so the stack
// does not move.
TEXT ·Record(SB), NOSPLIT|NOFRAME, $0-32
	MOVD pcs_base+0(FP), R0 // where the next return address goes
	MOVD pcs_len+8(FP), R1  // how many fit
	MOVD LR, R2             // the first one: Record's own
	MOVD R29, R3            // the frame pointer to follow
	MOVD 0(g), R4           // stack.lo: g begins with the bounds of its stack
	MOVD 8(g), R5           // stack.hi
	MOVD $ret+24(FP), R6    // where the count goes
	JMP  walk<>(SB)

// func follow(pcs []uintptr, pc, fp, lo, hi uintptr) int
TEXT ·follow(SB), NOSPLIT|NOFRAME, $0-64
	MOVD pcs_base+0(FP), R0
	MOVD pcs_len+8(FP), R1
	MOVD pc+24(FP), R2
	MOVD fp+32(FP), R3
	MOVD lo+40(FP), R4
	MOVD hi+48(FP), R5
	MOVD $ret+56(FP), R6
	JMP  walk<>(SB)

// walk reads two words from where R3 points, again and again, as long as both
// lie within the stack.
TEXT walk<>(SB), NOSPLIT|NOFRAME, $0
	MOVD ZR, R7  // how many there are
	SUB  $16, R5 // the highest place for a frame pointer: two words must fit

step:
	CMP  R1, R7 // no room left?
	BGE  done
	MOVD R2, (R0)(R7<<3)
	ADD  $1, R7
	CMP  R4, R3 // below the stack, or not above the frame before?
	BLO  done
	CMP  R5, R3 // above the stack?
	BHI  done
	TST  $7, R3 // not aligned?
	BNE  done
	MOVD 8(R3), R2 // the return address
	ADD  $8, R3, R4 // the next frame lies above this one
	MOVD 0(R3), R3 // its frame pointer
	JMP  step

done:
	MOVD R7, (R6)
	RET
