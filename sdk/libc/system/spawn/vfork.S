// The function that returns twice, and what brings it about (vfork.h).
//
// vfork() is a function, so what its caller may rely on afterwards are the registers that a function
// preserves, and its own frame. All of that is noted here before anything else happens: the return
// address, too, because the caller goes on and its next call writes over it. Below the caller's
// frame nothing is of value when it returns the second time; there is no red zone either, because
// the caller made a call. Control words of the FPU are preserved by calls, hence noted; so is the
// unsafe stack (%fs:0x18), for code that has one. The canary is the thread's and does not change.
#include "vfork_context.h"

    .text

    // pid_t vfork(void)
    .globl vfork
    .type vfork, @function
vfork:
    .cfi_startproc
    mov (%rsp), %rdx
    lea 8(%rsp), %rcx
    sub $VFORK_CONTEXT_LEN + 8, %rsp // at a call, 16-byte aligned
    .cfi_adjust_cfa_offset VFORK_CONTEXT_LEN + 8
    mov %rbx, VFORK_RBX(%rsp)
    mov %rbp, VFORK_RBP(%rsp)
    mov %r12, VFORK_R12(%rsp)
    mov %r13, VFORK_R13(%rsp)
    mov %r14, VFORK_R14(%rsp)
    mov %r15, VFORK_R15(%rsp)
    mov %rcx, VFORK_RSP(%rsp)
    mov %rdx, VFORK_RIP(%rsp)
    mov %fs:0x18, %rax
    mov %rax, VFORK_UNSAFE_SP(%rsp)
    stmxcsr VFORK_MXCSR(%rsp)
    fnstcw VFORK_FCW(%rsp)
    mov %rsp, %rdi
    call vfork_enter
    add $VFORK_CONTEXT_LEN + 8, %rsp
    .cfi_adjust_cfa_offset -VFORK_CONTEXT_LEN - 8
    mov %rax, %rdi
    jmp __syscall_ret // musl's: an errno negated becomes -1
    .cfi_endproc
    .size vfork, . - vfork

    // [[noreturn]] void vfork_return(const struct vfork_context* context, long result)
    .globl vfork_return
    .hidden vfork_return
    .type vfork_return, @function
vfork_return:
    .cfi_startproc
    .cfi_undefined rip
    ldmxcsr VFORK_MXCSR(%rdi)
    fldcw VFORK_FCW(%rdi)
    mov VFORK_UNSAFE_SP(%rdi), %rax
    mov %rax, %fs:0x18
    mov VFORK_RBX(%rdi), %rbx
    mov VFORK_RBP(%rdi), %rbp
    mov VFORK_R12(%rdi), %r12
    mov VFORK_R13(%rdi), %r13
    mov VFORK_R14(%rdi), %r14
    mov VFORK_R15(%rdi), %r15
    mov VFORK_RIP(%rdi), %rdx
    mov VFORK_RSP(%rdi), %rsp // last: the context may lie below it
    push %rdx
    mov %rsi, %rdi
    jmp __syscall_ret
    .cfi_endproc
    .size vfork_return, . - vfork_return

    .section .note.GNU-stack, "", @progbits
