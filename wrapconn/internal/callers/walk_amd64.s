//go:build gc && !purego

#include "textflag.h"

// func Record(pcs []uintptr) int
//
// A Go function keeps its caller's frame pointer where BP points, and its
// return address one word above. Record has no frame of its own: BP is still
// the caller's, and its own return address is where SP points. It is never
// preempted in the middle, because assembly has no safe points, so the stack
// does not move.
TEXT ·Record(SB), NOSPLIT|NOFRAME, $0-32
	MOVQ pcs_base+0(FP), DI // where the next return address goes
	MOVQ pcs_len+8(FP), CX  // how many fit
	MOVQ 0(SP), SI          // the first one: Record's own
	MOVQ BP, BX             // the frame pointer to follow
	MOVQ (TLS), AX          // g, which begins with the bounds of its stack
	MOVQ 0(AX), R8          // stack.lo
	MOVQ 8(AX), R9          // stack.hi
	LEAQ ret+24(FP), R10    // where the count goes
	JMP  walk<>(SB)

// func follow(pcs []uintptr, pc, fp, lo, hi uintptr) int
TEXT ·follow(SB), NOSPLIT|NOFRAME, $0-64
	MOVQ pcs_base+0(FP), DI
	MOVQ pcs_len+8(FP), CX
	MOVQ pc+24(FP), SI
	MOVQ fp+32(FP), BX
	MOVQ lo+40(FP), R8
	MOVQ hi+48(FP), R9
	LEAQ ret+56(FP), R10
	JMP  walk<>(SB)

// walk reads two words from where BX points, again and again, as long as both
// lie within the stack.
TEXT walk<>(SB), NOSPLIT|NOFRAME, $0
	XORQ DX, DX  // how many there are
	SUBQ $16, R9 // the highest place for a frame pointer: two words must fit

step:
	CMPQ  DX, CX // no room left?
	JGE   done
	MOVQ  SI, (DI)(DX*8)
	INCQ  DX
	CMPQ  BX, R8 // below the stack, or not above the frame before?
	JLO   done
	CMPQ  BX, R9 // above the stack?
	JHI   done
	TESTQ $7, BX // not aligned?
	JNZ   done
	MOVQ  8(BX), SI // the return address
	LEAQ  8(BX), R8 // the next frame lies above this one
	MOVQ  0(BX), BX // its frame pointer
	JMP   step

done:
	MOVQ DX, (R10)
	RET
