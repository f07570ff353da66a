// How another CPU gets from real mode to the kernel. This code is copied to the first of the trampoline's four pages, which lies below
// 1 MiB; it is position-independent by knowing its own segment. The other three pages are the temporary tables that smp.c makes: they map
// the trampoline where it is, and the kernel half.
//
// The parameter block lies at the end of the code page; smp.c fills it (struct trampoline_block, same layout) for one CPU at a time.
#include "asm_defs.h"

#define BLOCK_OFFSET 0xf00
#define BLOCK_TEMP_ROOT 0x00
#define BLOCK_EFER 0x08
#define BLOCK_KERNEL_ROOT 0x10
#define BLOCK_STACK 0x18
#define BLOCK_CPU 0x20
#define BLOCK_ENTRY 0x28
#define BLOCK_FAR32 0x30
#define BLOCK_FAR64 0x38
#define BLOCK_GDT_POINTER 0x40
#define BLOCK_GDT 0x50

#define MSR_EFER_NUMBER 0xc0000080

    .section .rodata.trampoline, "a", @progbits
    .globl x86_trampoline_start
    .hidden x86_trampoline_start
    .globl x86_trampoline_end
    .hidden x86_trampoline_end
    .globl x86_trampoline_32
    .hidden x86_trampoline_32
    .globl x86_trampoline_64
    .hidden x86_trampoline_64

    .balign 16
x86_trampoline_start:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    xorl %ebx, %ebx
    movw %ax, %bx
    shll $4, %ebx                       // physical address of this page
    lgdtl BLOCK_OFFSET + BLOCK_GDT_POINTER
    movl %cr0, %eax
    andl $0x9fffffff, %eax              // caches on (CD, NW clear)
    orl $1, %eax
    movl %eax, %cr0
    ljmpl *(BLOCK_OFFSET + BLOCK_FAR32)
x86_trampoline_32:
    .code32
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0xa0, %eax                    // PAE PGE
    movl %eax, %cr4
    movl BLOCK_OFFSET + BLOCK_TEMP_ROOT(%ebx), %eax
    movl %eax, %cr3
    movl BLOCK_OFFSET + BLOCK_EFER(%ebx), %eax
    xorl %edx, %edx
    movl $MSR_EFER_NUMBER, %ecx
    wrmsr
    movl $0x80010033, %eax              // PG WP NE ET MP PE
    movl %eax, %cr0
    ljmpl *(BLOCK_OFFSET + BLOCK_FAR64)(%ebx)
x86_trampoline_64:
    .code64
    movl %ebx, %ebx
    leaq BLOCK_OFFSET(%rbx), %rbx
    // Whose parameters these are. Once: a CPU that comes too late finds nothing and stays here.
    xorl %edi, %edi
    xchgq %rdi, BLOCK_CPU(%rbx)
    testq %rdi, %rdi
    jnz 2f
1:  cli
    hlt
    jmp 1b
2:  movq BLOCK_STACK(%rbx), %rsp
    movq BLOCK_KERNEL_ROOT(%rbx), %rsi
    movq BLOCK_ENTRY(%rbx), %rax
    jmpq *%rax
x86_trampoline_end:

    .text
    .globl x86_secondary_start
    .hidden x86_secondary_start
    .type x86_secondary_start, @function
// rdi = struct x86_cpu, rsi = the kernel's root, rsp = the idle thread's stack; still on the temporary tables, now at a kernel address.
x86_secondary_start:
    movq %rsi, %cr3
    xorl %ebp, %ebp
    pushq $0
    pushq $0
    call x86_secondary_main
    ud2
    .size x86_secondary_start, . - x86_secondary_start

    .section .note.GNU-stack, "", @progbits
