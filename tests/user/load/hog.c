// Takes all memory that a program can get, gives so many KiB back, says how much it has, and keeps
// it until it is killed: hog [KIB]
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <zircon/syscalls.h>

constexpr uint64_t most = 1ull << 40;
constexpr uint64_t page_len = 4096;

int main(int argc, char** argv) {
    zx_handle_t vmo;
    if (zx_vmo_create(most, 0, &vmo) != ZX_OK) {
        return 1;
    }
    uint64_t at = 0;
    // Large steps, then smaller ones: to the last page.
    for (uint64_t step = 1 << 20; step >= page_len; step /= 2) {
        while (zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, at, step, nullptr, 0) == ZX_OK) {
            at += step;
        }
    }
    const uint64_t back = (argc > 1 ? strtoull(argv[1], nullptr, 10) : 256) << 10;
    if (at > back) {
        at -= back;
        (void)zx_vmo_op_range(vmo, ZX_VMO_OP_DECOMMIT, at, back, nullptr, 0);
    }
    printf("hog: %llu KiB\n", (unsigned long long)at / 1024);
    (void)fflush(stdout);
    for (;;) {
        (void)pause();
    }
}
