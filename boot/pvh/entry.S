/*
 * PVH entry: 32-bit protected mode, paging off, flat segments, ebx = start_info, no stack, interrupts
 * off. Ends in pvh_main() in long mode with the first 4 GiB mapped one to one.
 *
 * Position independent: nothing here knows where the file was loaded. Until there is a stack, the one
 * thing that needs the instruction pointer (call/pop) borrows start_info's reserved last word, which
 * is why magic and version are checked first, by code that needs no address at all: its messages are
 * immediates of `out`.
 *
 * Everything in .boot.* is outside the kernel image proper; the memory is free once the kernel runs.
 */

#define START_INFO_MAGIC 0x336ec578
#define COM1             0x3f8
#define DEBUG_CONSOLE    0xe9
#define DEBUG_EXIT       0xf4
#define EXIT_BOOT_FAILED 0x23           /* as boot_fail() in early/say.c */

#define MSR_EFER           0xc0000080
#define EFER_LME_NXE       0x900
#define CR4_PAE            0x20
#define CR0_PG_WP_NE_MP_PE 0x80010033

    .macro out_char value
    movb $\value, %al
    outb %al, $DEBUG_CONSOLE
    movw $COM1, %dx
    outb %al, %dx
    .endm

    /* Says why and stops. */
    .macro fail text:vararg
    .irp c, \text
    out_char \c
    .endr
    out_char '\n'
    movb $EXIT_BOOT_FAILED, %al
    movw $DEBUG_EXIT, %dx
    outb %al, %dx
99: cli
    hlt
    jmp 99b
    .endm

    .section .boot.text.entry, "ax", @progbits
    .code32
    .globl pvh_entry
    .hidden pvh_entry
    .type pvh_entry, @function
pvh_entry:
.Lbase:
    cld
    cli
    out_char '!'
    cmpl $START_INFO_MAGIC, (%ebx)
    je 1f
    fail 'P','V','H',' ','m','a','g','i','c','?'
1:  cmpl $1, 4(%ebx)
    jae 1f
    fail 'P','V','H',' ','m','a','p','?'
1:
    leal 56(%ebx), %esp
    call 2f
2:  popl %ebp
    subl $(2b - .Lbase), %ebp           /* ebp = where pvh_entry is */

    /* Our scratch memory is whatever the loader left; it holds page tables that must start empty. */
    leal (__boot_bss_start - .Lbase)(%ebp), %edi
    leal (__boot_bss_end - .Lbase)(%ebp), %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl
    leal (pvh_stack_top - .Lbase)(%ebp), %esp

    movl $0x80000000, %eax
    pushl %ebx
    cpuid
    cmpl $0x80000001, %eax
    jb .Lno_long_mode
    movl $0x80000001, %eax
    cpuid
    popl %ebx
    andl $((1 << 29) | (1 << 20)), %edx /* long mode and NX */
    cmpl $((1 << 29) | (1 << 20)), %edx
    je 1f
.Lno_long_mode:
    fail 'n','o',' ','6','4','-','b','i','t',' ','C','P','U',' ','w','i','t','h',' ','N','X'
1:
    /* 4 GiB one to one: PML4[0] -> one PDPT -> four directories of 2 MiB pages. */
    leal (pvh_tables - .Lbase)(%ebp), %edi
    leal 0x1003(%edi), %eax
    movl %eax, (%edi)
    addl $0x1000, %eax
    movl %eax, 0x1000(%edi)
    addl $0x1000, %eax
    movl %eax, 0x1008(%edi)
    addl $0x1000, %eax
    movl %eax, 0x1010(%edi)
    addl $0x1000, %eax
    movl %eax, 0x1018(%edi)
    movl $0x83, %eax
    leal 0x2000(%edi), %edx
    movl $2048, %ecx
3:  movl %eax, (%edx)
    addl $0x200000, %eax
    addl $8, %edx
    decl %ecx
    jnz 3b

    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl %edi, %cr3
    movl $MSR_EFER, %ecx
    movl $EFER_LME_NXE, %eax
    xorl %edx, %edx
    wrmsr
    movl $CR0_PG_WP_NE_MP_PE, %eax
    movl %eax, %cr0

    /* The descriptor table's address is only known now, so its register image is made on the stack. */
    leal (.Lgdt - .Lbase)(%ebp), %eax
    subl $8, %esp
    movw $(.Lgdt_end - .Lgdt - 1), (%esp)
    movl %eax, 2(%esp)
    lgdtl (%esp)
    addl $8, %esp
    leal (.Llong_mode - .Lbase)(%ebp), %eax
    pushl $8
    pushl %eax
    lretl

    .code64
.Llong_mode:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movl %esp, %esp                     /* the upper halves are undefined after the switch */
    movl %ebx, %edi
    xorl %ebp, %ebp
    call pvh_main
    ud2
    .size pvh_entry, . - pvh_entry

    .balign 8
.Lgdt:
    .quad 0
    .quad 0x00af9b000000ffff            /* 64-bit code, ring 0, present, accessed */
.Lgdt_end:

    .section .boot.bss, "aw", @nobits
    .balign 4096
    .globl pvh_tables
    .hidden pvh_tables
pvh_tables:
    .skip 6 * 4096
    .skip 16 * 1024
pvh_stack_top:
