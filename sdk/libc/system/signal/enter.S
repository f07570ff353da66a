// Where a thread goes on that was stopped in the middle of its code to run a handler, and how it goes
// back there: all registers as they were, or as the handler has changed them in its context.
//
// The way back needs no call of the kernel's. The last registers are popped from below the red zone
// of the stack that was interrupted: nothing of value is there, and `ret $RED_ZONE` then leaves the
// stack pointer as it was. (IRET would do, too; but QEMU before 9.1 reads its operands with the
// kernel's rights, which SMAP refuses.)
#include "enter.h"

    .text

    .globl signal_enter
    .hidden signal_enter
    .type signal_enter, @function
signal_enter:
    .cfi_startproc
    .cfi_undefined rip
    mov %rsp, %rbx
    mov FRAME_FP(%rbx), %r12
    cmpq $0, FRAME_XSAVE(%rbx)
    je 1f
    // The header behind the legacy area: what XSAVE does not write has to be zero.
    xor %eax, %eax
    lea 512(%r12), %rdi
    mov $8, %ecx
    rep stosq
    mov $-1, %eax
    mov $-1, %edx
    xsave64 (%r12)
    jmp 2f
1:  fxsave64 (%r12)
2:  fninit
    movl $0x1f80, FRAME_RESUME(%rbx)
    ldmxcsr FRAME_RESUME(%rbx)
    // As if the interrupted code had called: for whoever walks the frames.
    pushq FRAME_RIP(%rbx)
    pushq FRAME_RBP(%rbx)
    mov %rsp, %rbp
    mov %rbx, %rdi
    call signal_run_frame

    cmpq $0, FRAME_XSAVE(%rbx)
    je 3f
    mov $-1, %eax
    mov $-1, %edx
    xrstor64 (%r12)
    jmp 4f
3:  fxrstor64 (%r12)
4:  mov %rbx, %rdi
    mov FRAME_RSP(%rdi), %rdx
    sub $RED_ZONE + 24, %rdx
    mov %rdx, FRAME_RESUME(%rdi)
    mov FRAME_RDI(%rdi), %rax
    mov %rax, (%rdx)
    mov FRAME_EFL(%rdi), %rax
    mov %rax, 8(%rdx)
    mov FRAME_RIP(%rdi), %rax
    mov %rax, 16(%rdx)
    mov FRAME_R8(%rdi), %r8
    mov FRAME_R9(%rdi), %r9
    mov FRAME_R10(%rdi), %r10
    mov FRAME_R11(%rdi), %r11
    mov FRAME_R12(%rdi), %r12
    mov FRAME_R13(%rdi), %r13
    mov FRAME_R14(%rdi), %r14
    mov FRAME_R15(%rdi), %r15
    mov FRAME_RSI(%rdi), %rsi
    mov FRAME_RBP(%rdi), %rbp
    mov FRAME_RBX(%rdi), %rbx
    mov FRAME_RDX(%rdi), %rdx
    mov FRAME_RAX(%rdi), %rax
    mov FRAME_RCX(%rdi), %rcx
    mov FRAME_RESUME(%rdi), %rsp
    pop %rdi
    popfq
    ret $RED_ZONE
    .globl signal_enter_end
    .hidden signal_enter_end
signal_enter_end:
    .cfi_endproc
    .size signal_enter, . - signal_enter

    .section .note.GNU-stack, "", @progbits
