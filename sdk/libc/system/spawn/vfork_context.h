// What vfork() notes of its caller: offsets for the assembly, held against the structure.
#pragma once

#define VFORK_RBX         0
#define VFORK_RBP         8
#define VFORK_R12         16
#define VFORK_R13         24
#define VFORK_R14         32
#define VFORK_R15         40
#define VFORK_RSP         48 // after the return
#define VFORK_RIP         56
#define VFORK_UNSAFE_SP   64
#define VFORK_MXCSR       72
#define VFORK_FCW         76
#define VFORK_CONTEXT_LEN 80

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct vfork_context {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip, unsafe_sp;
    uint32_t mxcsr;
    uint16_t fcw, reserved;
};
static_assert(offsetof(struct vfork_context, rsp) == VFORK_RSP);
static_assert(offsetof(struct vfork_context, rip) == VFORK_RIP);
static_assert(offsetof(struct vfork_context, unsafe_sp) == VFORK_UNSAFE_SP);
static_assert(offsetof(struct vfork_context, mxcsr) == VFORK_MXCSR);
static_assert(offsetof(struct vfork_context, fcw) == VFORK_FCW);
static_assert(sizeof(struct vfork_context) == VFORK_CONTEXT_LEN);

#endif
