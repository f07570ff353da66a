// Offsets in struct signal_frame for the assembly, held against the structure (inject.c).
#pragma once

#define FRAME_REGISTERS  40
#define FRAME_REG(index) (FRAME_REGISTERS + 8 * (index))
#define FRAME_FP         224
#define FRAME_RESUME     936
#define FRAME_XSAVE      944
// Indices of registers, as <libc/abi.h> has them.
#define FRAME_R8  FRAME_REG(0)
#define FRAME_R9  FRAME_REG(1)
#define FRAME_R10 FRAME_REG(2)
#define FRAME_R11 FRAME_REG(3)
#define FRAME_R12 FRAME_REG(4)
#define FRAME_R13 FRAME_REG(5)
#define FRAME_R14 FRAME_REG(6)
#define FRAME_R15 FRAME_REG(7)
#define FRAME_RDI FRAME_REG(8)
#define FRAME_RSI FRAME_REG(9)
#define FRAME_RBP FRAME_REG(10)
#define FRAME_RBX FRAME_REG(11)
#define FRAME_RDX FRAME_REG(12)
#define FRAME_RAX FRAME_REG(13)
#define FRAME_RCX FRAME_REG(14)
#define FRAME_RSP FRAME_REG(15)
#define FRAME_RIP FRAME_REG(16)
#define FRAME_EFL FRAME_REG(17)
// What lies below a stack pointer and is in use.
#define RED_ZONE 128
