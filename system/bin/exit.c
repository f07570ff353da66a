// Ends with the return code it is told: exit CODE.
#include <stdio.h>
#include <stdlib.h>

#include <zircon/syscalls.h>

int main(int argc, char** argv) {
    char* end = nullptr;
    long long code = argc == 2 ? strtoll(argv[1], &end, 0) : 0;
    if (argc > 2 || (argc == 2 && (*end != '\0' || end == argv[1]))) {
        fprintf(stderr, "usage: exit [CODE]\n");
        return 2;
    }
    zx_process_exit(code);
}
