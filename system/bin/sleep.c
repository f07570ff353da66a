// Waits: sleep SECONDS.
#include <stdio.h>
#include <stdlib.h>

#include <zircon/syscalls.h>
#include <zircon/time.h>

int main(int argc, char** argv) {
    char* end = nullptr;
    unsigned long long seconds = argc == 2 ? strtoull(argv[1], &end, 10) : 0;
    if (argc != 2 || end == argv[1] || *end != '\0' || seconds > 1'000'000) {
        fprintf(stderr, "usage: sleep SECONDS\n");
        return 2;
    }
    (void)zx_nanosleep(zx_deadline_after((zx_duration_t)seconds * 1'000'000'000));
    return 0;
}
