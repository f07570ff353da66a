// The first instruction of a dynamically linked program. The dynamic linker (sdk/libc/system/dl)
// enters with rdi = argc, argv, null, environ, null, auxiliary vector, one word each.

    .text
    .globl _start
    .type _start, @function
    .hidden _start
_start:
    .cfi_startproc
    .cfi_undefined rip
    xorl %ebp, %ebp
    andq $-16, %rsp
    movl (%rdi), %esi
    leaq 8(%rdi), %rdx
    leaq main(%rip), %rdi
    xorl %ecx, %ecx
    xorl %r8d, %r8d
    xorl %r9d, %r9d
    call *__libc_start_main@GOTPCREL(%rip)
    ud2
    .cfi_endproc
    .size _start, . - _start

    .section .note.GNU-stack, "", @progbits
