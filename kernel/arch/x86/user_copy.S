// The copy loops that may fault, and their fix-ups. Each entry of .extable is a pair of 32-bit offsets, relative to their own address:
// the instruction that may fault, and where to go on when the fault cannot be resolved.
//
// Bulk by quadwords (one counted instruction per eight bytes under emulation, the microcoded path on silicon). When a quadword faults,
// the rest is tried by bytes, so that the count that comes back is exact.

.macro EXTABLE from, to
    .pushsection .extable, "a", @progbits
    .balign 4
    .long \from - .
    .long \to - .
    .popsection
.endm

    .text

// size_t x86_user_copy(void* dst, const void* src, size_t size): bytes NOT copied
    .globl x86_user_copy
    .hidden x86_user_copy
    .type x86_user_copy, @function
    .balign 16
x86_user_copy:
    movq %rdx, %rcx
    shrq $3, %rcx
    andl $7, %edx
1:  rep movsq
    movl %edx, %ecx
2:  rep movsb
3:  movq %rcx, %rax
    ret
4:  leaq (%rdx,%rcx,8), %rcx
    jmp 2b
    EXTABLE 1b, 4b
    EXTABLE 2b, 3b
    .size x86_user_copy, . - x86_user_copy

// bool x86_user_load32(const uint32_t* src, uint32_t* out)
    .globl x86_user_load32
    .hidden x86_user_load32
    .type x86_user_load32, @function
    .balign 16
x86_user_load32:
1:  movl (%rdi), %eax
    movl %eax, (%rsi)
    movl $1, %eax
    ret
2:  xorl %eax, %eax
    ret
    EXTABLE 1b, 2b
    .size x86_user_load32, . - x86_user_load32

// bool x86_user_store32(uint32_t* dst, uint32_t value)
    .globl x86_user_store32
    .hidden x86_user_store32
    .type x86_user_store32, @function
    .balign 16
x86_user_store32:
1:  movl %esi, (%rdi)
    movl $1, %eax
    ret
2:  xorl %eax, %eax
    ret
    EXTABLE 1b, 2b
    .size x86_user_store32, . - x86_user_store32

// bool x86_fpu_fxrstor(const void* area): false when the area's contents are not loadable
    .globl x86_fpu_fxrstor
    .hidden x86_fpu_fxrstor
    .type x86_fpu_fxrstor, @function
    .balign 16
x86_fpu_fxrstor:
1:  fxrstor64 (%rdi)
    movl $1, %eax
    ret
2:  xorl %eax, %eax
    ret
    EXTABLE 1b, 2b
    .size x86_fpu_fxrstor, . - x86_fpu_fxrstor

    .section .note.GNU-stack, "", @progbits
