// Room for the constants block. In assembly, so that no compiler can take its zeros for constants.
#define CONSTANTS_SIZE 160 // <vdso/constants.h> asserts it

    .section .rodata.vdso_constants, "a", @progbits
    .p2align 6
    .globl vdso_constants
    .hidden vdso_constants
    .type vdso_constants, @object
vdso_constants:
    .zero CONSTANTS_SIZE
    .size vdso_constants, CONSTANTS_SIZE

    .section .note.GNU-stack, "", @progbits
