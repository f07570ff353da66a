// Single instructions that may fault, and their fix-ups (the copies are in user_copy.c). Each entry of .extable is a pair of 32-bit
// offsets, relative to their own address: the instruction that may fault, and where to go on when the fault cannot be resolved.

.macro EXTABLE from, to, function
    .pushsection .extable, "ao", @progbits, \function
    .balign 4
    .long \from - .
    .long \to - .
    .popsection
.endm

    .text

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
    EXTABLE 1b, 2b, x86_fpu_fxrstor
    .size x86_fpu_fxrstor, . - x86_fpu_fxrstor

    .section .note.GNU-stack, "", @progbits
