// The first instruction of the dynamic linker. The kernel enters with rdi = bootstrap channel, rsi = base of the vDSO, rsp = top of the stack, all else zero.
// The return address 0 and rbp = 0 end a backtrace.

    .text
    .globl _dlstart
    .type _dlstart, @function
    .hidden _dlstart
_dlstart:
    .cfi_startproc
    .cfi_undefined rip
    xorl %ebp, %ebp
    andq $-16, %rsp
    call __jx_dl_start
    ud2
    .cfi_endproc
    .size _dlstart, . - _dlstart

    .section .note.GNU-stack, "", @progbits
