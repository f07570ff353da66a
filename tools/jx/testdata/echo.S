// The smallest guest that keeps the contract of tests/README.md: for the tests of the runner itself.
// Starts by PVH in 32-bit mode. With an initrd it writes that to the serial line, where a byte 1 means
// that the next byte is an order; then, or without one, it prints a marker, echoes the serial line and
// takes every letter as a possible order:
// p power-off (ACPI port of q35), x clean debug exit, f the exit of failed tests, X panic with a report, Q panic's exit code, r reset, h hang.
    .code32
    .section .note.pvh, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start

    .text
    .globl start
start:
    cld
    movl $stack_end, %esp
    // start_info: number of modules at 12, their list at 16; a module: address at 0, size at 8.
    cmpl $0, 12(%ebx)
    je greet
    movl 16(%ebx), %eax
    movl (%eax), %esi
    movl 8(%eax), %ecx
    addl %esi, %ecx
play:
    cmpl %ecx, %esi
    jae greet
    lodsb
    cmpb $1, %al
    jne play_text
    lodsb
    call obey
play_text:
    movw $0x3f8, %dx
    outb %al, %dx
    jmp play
greet:
    movl $greeting, %esi
    call puts
next:
    movw $0x3fd, %dx
wait_byte:
    inb %dx, %al
    testb $1, %al
    jz wait_byte
    movw $0x3f8, %dx
    inb %dx, %al
    outb %al, %dx
    call obey
    jmp next
obey:
    cmpb $'p', %al
    je power_off
    cmpb $'x', %al
    je clean
    cmpb $'f', %al
    je failed
    cmpb $'X', %al
    je panic
    cmpb $'Q', %al
    je panic_exit
    cmpb $'r', %al
    je reset
    cmpb $'h', %al
    je hang
    ret
power_off:
    // Enable the ACPI port block of the ICH9 (device 31, function 0), then sleep state 5.
    movl $0x8000f840, %eax
    movw $0xcf8, %dx
    outl %eax, %dx
    movl $0x601, %eax
    movw $0xcfc, %dx
    outl %eax, %dx
    movl $0x8000f844, %eax
    movw $0xcf8, %dx
    outl %eax, %dx
    movl $0x80, %eax
    movw $0xcfc, %dx
    outl %eax, %dx
    movw $0x604, %dx
    movw $0x2000, %ax
    outw %ax, %dx
    jmp hang
failed:
    movb $0x11, %al
    outb %al, $0xf4
    jmp hang
clean:
    movb $0x10, %al
    outb %al, $0xf4
    jmp hang
panic:
    movl $report, %esi
    call puts
panic_exit:
    movb $0x23, %al
    outb %al, $0xf4
hang:
    hlt
    jmp hang
reset:
    movb $6, %al
    movw $0xcf9, %dx
    outb %al, %dx
    jmp hang

puts:
    movw $0x3f8, %dx
1:  lodsb
    testb %al, %al
    jz 2f
    outb %al, %dx
    outb %al, $0xe9
    jmp 1b
2:  ret

    .section .rodata
greeting:
    .ascii "echo guest\r\n\036[ready]\r\n"
    .byte 0
report:
    .ascii "\036[panic] asked for\r\n{{{bias:0x0}}}\r\n{{{bt:0:0x10}}}\r\n"
    .byte 0

    .bss
    .skip 256
stack_end:
