// The big test program: prints the sum of its own image and exits with 0 if it is the right one.
//
// Exit codes: 1 wrong sum, 2 a write was lost, 3 the sum cannot be printed, 4 an import is
// something else.
#include <jacinth/startup.h>

#include <stddef.h>

#include <zircon/syscalls.h>

#include "big_layout.h"
#include "big_sum.h"

int main(int argc, char** argv, char** envp);

// To the standard output that the launcher gave, else to the debug console.
static zx_status_t print(const char* text, size_t len) {
    zx_handle_t out = zx_take_startup_handle(PA_HND(PA_FD, 1));
    if (out == ZX_HANDLE_INVALID) {
        return zx_debug_write(text, len);
    }
    zx_status_t status = ZX_OK;
    while (len > 0 && status == ZX_OK) {
        size_t actual = 0;
        status = zx_socket_write(out, 0, text, len, &actual);
        if (status == ZX_ERR_SHOULD_WAIT) {
            status = zx_object_wait_one(out, ZX_SOCKET_WRITABLE | ZX_SOCKET_PEER_CLOSED,
                                        ZX_TIME_INFINITE, nullptr);
            continue;
        }
        text += actual;
        len -= actual;
    }
    (void)zx_handle_close(out);
    return status;
}

int main(int, char**, char**) {
    uint64_t sum = big_sum();
    char line[] = "big: sum 0000000000000000\n";
    for (int i = 0; i < 16; i++) {
        line[9 + i] = "0123456789abcdef"[sum >> (60 - 4 * i) & 15];
    }
    if (print(line, sizeof(line) - 1) != ZX_OK) {
        return 3;
    }
    if (sum != BIG_EXPECTED_SUM) {
        return 1;
    }
    if (BIG_IMPORT_COUNT != 0 && big_imports[0] != (const void*)zx_clock_get_monotonic) {
        return 4;
    }
    return big_write_check() ? 0 : 2;
}
