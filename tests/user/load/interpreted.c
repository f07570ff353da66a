// A program that names an interpreter (tests/user/load/interpreter.c) and is entered by it.
#include <stdio.h>

#include <jacinth/startup.h>

static int counted[2048] = {7}; // data and bss must have come along

int main(int argc, char** argv) {
    counted[2047] += counted[0];
    printf("interpreted: %s, %d, %s\n", argc > 1 ? argv[1] : "nothing", counted[2047],
           zx_process_self() != ZX_HANDLE_INVALID && zx_job_default() != ZX_HANDLE_INVALID
               ? "handles"
               : "no handles");
    return 12;
}
