// Numbers that assembly and C share: selectors, vectors, and structure offsets (each asserted
// against the C definition in layout_check.c). Preprocessor constants only, because the assembler
// reads this file too.
#pragma once

// Order dictated by SYSRET: user data directly below user code, both above STAR[63:48].
#define X86_KERNEL_CS    0x08
#define X86_KERNEL_DS    0x10
#define X86_SYSRET_BASE  0x18
#define X86_USER_DS      0x23
#define X86_USER_CS      0x2b
#define X86_TSS_SELECTOR 0x30

#define X86_VECTOR_DB             1
#define X86_VECTOR_NMI            2
#define X86_VECTOR_BP             3
#define X86_VECTOR_UD             6
#define X86_VECTOR_NM             7
#define X86_VECTOR_DF             8
#define X86_VECTOR_GP             13
#define X86_VECTOR_PF             14
#define X86_VECTOR_AC             17
#define X86_VECTOR_MC             18
#define X86_VECTOR_FIRST_EXTERNAL 0x20
#define X86_VECTOR_TIMER          0xf0
#define X86_VECTOR_IPI_RESCHED    0xf1
#define X86_VECTOR_IPI_CALL       0xf2
#define X86_VECTOR_IPI_TLB        0xf3
#define X86_VECTOR_ERROR          0xfe
#define X86_VECTOR_SPURIOUS       0xff
// Not a hardware vector: marks a frame that the SYSCALL entry built.
#define X86_VECTOR_SYSCALL 0x100

// struct arch_percpu
#define PERCPU_CURRENT        16
#define PERCPU_KERNEL_SP      24
#define PERCPU_USER_SP        32
#define PERCPU_PENDING        44
#define PERCPU_IRET_FALLBACKS 72

// struct thread (its first member is struct arch_thread)
#define THREAD_SP        0
#define THREAD_VDSO_BASE 72
#define THREAD_PENDING   120

// struct arch_user_frame
#define FRAME_R15    0
#define FRAME_R14    8
#define FRAME_R13    16
#define FRAME_R12    24
#define FRAME_RBP    32
#define FRAME_RBX    40
#define FRAME_R11    48
#define FRAME_R10    56
#define FRAME_R9     64
#define FRAME_R8     72
#define FRAME_RAX    80
#define FRAME_RCX    88
#define FRAME_RDX    96
#define FRAME_RSI    104
#define FRAME_RDI    112
#define FRAME_VECTOR 120
#define FRAME_ERROR  128
#define FRAME_RIP    136
#define FRAME_CS     144
#define FRAME_RFLAGS 152
#define FRAME_RSP    160
#define FRAME_SS     168
#define FRAME_SIZE   176

#define MSR_GS_BASE_NUMBER 0xc0000101
