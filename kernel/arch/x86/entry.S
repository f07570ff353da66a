// Every way into the kernel and out of it: the 256 vectors, SYSCALL, and the first entry of a thread to user mode.
//
// All entries from user mode leave the same record, struct arch_user_frame, directly below the top of the thread's kernel stack; TSS.rsp0
// and the per-CPU kernel_sp both point there. Which GS base is active is decided by the saved CS, except on the exception stacks: a #DF,
// NMI, #MC or #DB may arrive between SYSCALL and its swapgs, or between the last swapgs and the return, so those find the per-CPU block
// at the base of their own stack and put back whatever GS base they met.
//
// What the kernel relies on and the hardware does not give: DF, AC and NT clear (interrupt gates keep DF and AC: `popfq` of a constant;
// SYSCALL: FMASK), a terminated chain of frame pointers.
#include "asm_defs.h"

#define GLOBAL(name) .globl name; .hidden name; .type name, @function; .balign 16; name:
#define END(name) .size name, . - name

    .text

// Below the vector and error code, in frame order.
.macro PUSH_REGISTERS
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm

.macro POP_REGISTERS
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
.endm

.macro CLEAN_FLAGS
    pushq $2
    popfq
.endm

// ---- the 256 vectors: the exceptions 16 bytes each, the external ones 8 ----
    .balign 16
    .globl x86_vector_stubs
    .hidden x86_vector_stubs
x86_vector_stubs:
    .set vector, 0
    .rept X86_VECTOR_FIRST_EXTERNAL
        .balign 16
        // Exceptions with an error code of the CPU's.
        .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
            pushq $0
        .endif
        pushq $vector
        .if vector == X86_VECTOR_DF || vector == X86_VECTOR_NMI || vector == X86_VECTOR_MC
            jmp exception_stack_entry
        .elseif vector == X86_VECTOR_DB
            jmp debug_entry
        .else
            jmp vector_entry
        .endif
        .set vector, vector + 1
    .endr
    .balign 16
    .globl x86_external_stubs
    .hidden x86_external_stubs
x86_external_stubs:
    .rept 256 - X86_VECTOR_FIRST_EXTERNAL
        .balign 8
        pushq $(vector - 128) // what fits a byte
        jmp external_entry
        .set vector, vector + 1
    .endr
    .balign 16

external_entry:
    pushq (%rsp)
    subq $-128, (%rsp)
    movq $0, 8(%rsp) // no error code
    // on into vector_entry
GLOBAL(vector_entry)
    testb $3, 24(%rsp)
    jz kernel_vector_entry
    swapgs
user_vector_entry:
    PUSH_REGISTERS
    CLEAN_FLAGS
    xorl %ebp, %ebp
    movq %rsp, %rdi
    call x86_user_trap
    // Interrupts are off and nothing is pending.
x86_user_iret:
    POP_REGISTERS
    addq $16, %rsp
    swapgs
    iretq
END(vector_entry)

kernel_vector_entry:
    PUSH_REGISTERS
    CLEAN_FLAGS
    // A frame record for the interrupted instruction, so that a backtrace passes through.
    pushq FRAME_RIP(%rsp)
    pushq %rbp
    movq %rsp, %rbp
    leaq 16(%rsp), %rdi
    call x86_kernel_trap
    addq $16, %rsp
    POP_REGISTERS
    addq $16, %rsp
    iretq

// #DF, NMI, #MC, and #DB from the kernel. The word above the hardware's frame is the per-CPU block.
exception_stack_entry:
    PUSH_REGISTERS
    CLEAN_FLAGS
    movq FRAME_SIZE(%rsp), %r12
    testb $1, x86_fsgsbase_on(%rip)
    jz 1f
    rdgsbase %rbx
    wrgsbase %r12
    jmp 2f
1:  movl $MSR_GS_BASE_NUMBER, %ecx
    rdmsr
    shlq $32, %rdx
    movl %eax, %ebx
    orq %rdx, %rbx
    movq %r12, %rdx
    movl %r12d, %eax
    shrq $32, %rdx
    wrmsr
2:  pushq FRAME_RIP(%rsp)
    pushq %rbp
    movq %rsp, %rbp
    leaq 16(%rsp), %rdi
    call x86_exception_stack_trap
    addq $16, %rsp
    testb $1, x86_fsgsbase_on(%rip)
    jz 3f
    wrgsbase %rbx
    jmp 4f
3:  movl $MSR_GS_BASE_NUMBER, %ecx
    movq %rbx, %rdx
    movl %ebx, %eax
    shrq $32, %rdx
    wrmsr
4:  POP_REGISTERS
    addq $16, %rsp
    iretq

// #DB from user mode may sleep in an exception handler: its seven words move to the thread's own stack. From user mode the GS base
// is the user's for certain.
debug_entry:
    testb $3, 24(%rsp)
    jz exception_stack_entry
    swapgs
    cld
    pushq %rdi
    pushq %rsi
    pushq %rcx
    movq %gs:PERCPU_KERNEL_SP, %rdi
    subq $56, %rdi
    leaq 24(%rsp), %rsi
    movl $7, %ecx
    rep movsq
    popq %rcx
    popq %rsi
    popq %rdi
    movq %gs:PERCPU_KERNEL_SP, %rsp
    subq $56, %rsp
    jmp user_vector_entry

// ---- SYSCALL ----
// User side: number in rax, arguments in rdi rsi rdx r10 r8 r9 r12 r13, result in rax. As in a C call the callee-saved registers
// survive; rcx and r11 are lost; the other arguments' registers come back zero.
// Of the frame the fast path stores where to return to, and no more: the C code below preserves the callee-saved registers, and
// whoever looks at the frame does so from the slow path, which completes it first.

GLOBAL(x86_syscall_entry)
    swapgs
    movq %rsp, %gs:PERCPU_USER_SP
    movq %gs:PERCPU_KERNEL_SP, %rsp
    subq $FRAME_SIZE, %rsp
    movq %r11, FRAME_RFLAGS(%rsp)
    movq %rcx, FRAME_RIP(%rsp)
    movq %gs:PERCPU_USER_SP, %r11
    movq %r11, FRAME_RSP(%rsp)
    sti
    // Is there such a call, and does this very instruction belong to it?
    movl syscall_count(%rip), %r11d
    cmpq %r11, %rax
    jae syscall_slow
    movq %gs:PERCPU_CURRENT, %r11
    subq THREAD_VDSO_BASE(%r11), %rcx
    leaq syscall_return_offsets(%rip), %r11
    movl (%r11,%rax,4), %r11d
    cmpq %r11, %rcx
    jne syscall_slow
    movq %r10, %rcx
    leaq syscall_table(%rip), %r11
    pushq %r13
    pushq %r12
    call *(%r11,%rax,8)
    cli
    movq %gs:PERCPU_CURRENT, %rcx
    movl THREAD_PENDING(%rcx), %ecx
    orl %gs:PERCPU_PENDING, %ecx
    jnz syscall_pending
    // A call's arguments do not survive it, and nothing of the kernel's may be left in their place.
    xorl %r10d, %r10d
    xorl %r9d, %r9d
    xorl %r8d, %r8d
    xorl %edx, %edx
    xorl %esi, %esi
    xorl %edi, %edi
    // The return address passed the check against the vDSO, so it is canonical; the flags are what user mode had.
    movq 16+FRAME_RIP(%rsp), %rcx
    movq 16+FRAME_RFLAGS(%rsp), %r11
    movq 16+FRAME_RSP(%rsp), %rsp
    swapgs
    sysretq

// The frame becomes complete, because from here on others may look at it or change it.
.macro COMPLETE_FRAME
    movq $X86_USER_DS, FRAME_SS(%rsp)
    movq $X86_USER_CS, FRAME_CS(%rsp)
    movq $0, FRAME_ERROR(%rsp)
    movq $X86_VECTOR_SYSCALL, FRAME_VECTOR(%rsp)
    movq FRAME_RFLAGS(%rsp), %r11
    movq %r11, FRAME_R11(%rsp)
    movq FRAME_RIP(%rsp), %r11
    movq %r11, FRAME_RCX(%rsp)
    movq %rax, FRAME_RAX(%rsp)
    movq %rdi, FRAME_RDI(%rsp)
    movq %rsi, FRAME_RSI(%rsp)
    movq %rdx, FRAME_RDX(%rsp)
    movq %r8, FRAME_R8(%rsp)
    movq %r9, FRAME_R9(%rsp)
    movq %r10, FRAME_R10(%rsp)
    movq %rbx, FRAME_RBX(%rsp)
    movq %rbp, FRAME_RBP(%rsp)
    movq %r12, FRAME_R12(%rsp)
    movq %r13, FRAME_R13(%rsp)
    movq %r14, FRAME_R14(%rsp)
    movq %r15, FRAME_R15(%rsp)
    xorl %ebp, %ebp
    movq %rsp, %rdi
.endm

syscall_pending:
    addq $16, %rsp
    xorl %r10d, %r10d
    xorl %r9d, %r9d
    xorl %r8d, %r8d
    xorl %edx, %edx
    xorl %esi, %esi
    xorl %edi, %edi
    COMPLETE_FRAME
    call x86_syscall_return_work
    jmp syscall_return_slow
syscall_slow:
    COMPLETE_FRAME
    call x86_syscall_slow
syscall_return_slow:
    // Interrupts are off and nothing is pending; al says whether SYSRET can make this return.
    testb %al, %al
    jz x86_user_iret
    POP_REGISTERS
    movq 40(%rsp), %rsp
    swapgs
    sysretq
END(x86_syscall_entry)

// SYSCALL from compatibility mode: no code segment for that mode exists, so this cannot be reached; the register must point somewhere.
GLOBAL(x86_syscall_entry_compat)
    ud2
END(x86_syscall_entry_compat)

// [[noreturn]] void x86_user_enter(struct arch_user_frame* frame): interrupts off, nothing pending.
GLOBAL(x86_user_enter)
    movq %rdi, %rsp
    jmp x86_user_iret
END(x86_user_enter)

// Where a new thread's first switch "returns" to: on the stack its entry function, in rdi the thread that ran before.
GLOBAL(x86_thread_begin)
    popq %rax
    xorl %ebp, %ebp
    call *%rax
    ud2
END(x86_thread_begin)

    .section .note.GNU-stack, "", @progbits
