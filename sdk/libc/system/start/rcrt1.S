// The first instruction of a static program with the C library. The kernel enters with rdi = bootstrap channel, rsi = base of the vDSO, rsp = top of the stack, all else zero.
// The return address 0 and rbp = 0 end a backtrace.

    .text
    .globl _start
    .type _start, @function
    .hidden _start
_start:
    .cfi_startproc
    .cfi_undefined rip
    xorl %ebp, %ebp
    andq $-16, %rsp
    leaq main(%rip), %rdx
    call __jx_start
    ud2
    .cfi_endproc
    .size _start, . - _start

    .section .note.GNU-stack, "", @progbits
