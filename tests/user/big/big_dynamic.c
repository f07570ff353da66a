// The big test program as a program of the C library, whose interpreter maps and relocates it.
//
// Exit codes: 1 wrong sum, 2 a write was lost, 3 the sum cannot be printed.
#include <inttypes.h>
#include <stdio.h>

#include "big_layout.h"
#include "big_sum.h"

int main(void) {
    const uint64_t sum = big_sum();
    if (printf("big: sum %016" PRIx64 "\n", sum) < 0 || fflush(stdout) != 0) {
        return 3;
    }
    if (sum != BIG_EXPECTED_SUM) {
        return 1;
    }
    return big_write_check() ? 0 : 2;
}
