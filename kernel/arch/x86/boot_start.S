/*
 * The kernel's first instructions, at its final address, whichever way it was booted.
 *
 * In: rdi = struct handoff* (direct map), rsi = physical address of the kernel's root table. The
 * tables in use map this code as well, their lower half is the boot stage's. Interrupts are off,
 * EFER.LME and NXE on; nothing else is known.
 *
 * Brings the control registers to one known state, moves to the kernel's own tables and the guarded
 * boot stack, and makes a per-CPU block so that C code with stack protector and the preemption count
 * works from the first function on. The GDT and IDT are still the boot stage's and no longer mapped:
 * until arch_init_early() has loaded its own, no segment may be loaded and an exception is fatal.
 */

#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101

#define CR0_STATE 0x80010033            /* PG WP NE ET MP PE */
#define CR4_PAE   0x20
#define CR4_PGE   0x80

#define HANDOFF_BOOT_CANARY 88          /* asserted in <boot/handoff.h> */

#define PERCPU_BYTES         128        /* asserted in <arch/percpu.h>, as are the offsets */
#define PERCPU_CANARY        8
#define PERCPU_PREEMPT_COUNT 40
#define PREEMPT_OFF_ONCE     0x80000001 /* nothing pending, one level deep */

    .section .text.entry, "ax", @progbits
    .globl kernel_start
    .hidden kernel_start
    .type kernel_start, @function
kernel_start:
    cli
    cld
    movl $CR0_STATE, %eax
    movq %rax, %cr0
    /* Global entries of the old tables must not survive: PGE off, new root, PGE on. */
    movl $CR4_PAE, %eax
    movq %rax, %cr4
    movq %rsi, %cr3
    movl $(CR4_PAE | CR4_PGE), %eax
    movq %rax, %cr4

    leaq __boot_stack_top(%rip), %rsp
    xorl %ebp, %ebp

    leaq arch_boot_percpu(%rip), %rbx
    movq %rbx, (%rbx)
    movq HANDOFF_BOOT_CANARY(%rdi), %rax
    movq %rax, PERCPU_CANARY(%rbx)
    movl $PREEMPT_OFF_ONCE, PERCPU_PREEMPT_COUNT(%rbx)
    movl $MSR_GS_BASE, %ecx
    movl %ebx, %eax
    movq %rbx, %rdx
    shrq $32, %rdx
    wrmsr
    movl $MSR_FS_BASE, %ecx
    xorl %eax, %eax
    xorl %edx, %edx
    wrmsr

    pushq $0                            /* ends the frame-pointer chain, keeps the stack aligned */
    pushq $0
    call kernel_entry
    ud2
    .size kernel_start, . - kernel_start

    .section .bss.arch_boot_percpu, "aw", @nobits
    .balign 64
    .globl arch_boot_percpu
    .hidden arch_boot_percpu
    .type arch_boot_percpu, @object
arch_boot_percpu:
    .skip PERCPU_BYTES
    .size arch_boot_percpu, PERCPU_BYTES
