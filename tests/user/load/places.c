// Says where its parts are: code, stack, memory of the heap, the vDSO.
#include <stdio.h>
#include <stdlib.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>

static void print_place(const char* name, uintptr_t place) {
    char line[128];
    int len =
        snprintf(line, sizeof(line), "\x1e[value] %s %llu\n", name, (unsigned long long)place);
    (void)zx_debug_write(line, (size_t)len);
}

int main(int argc, char** argv) {
    // The argument tells several runs of one boot apart.
    const char* run = argc > 1 ? argv[1] : "";
    void* block = malloc(1 << 20);
    zx_vaddr_t vdso = 0;
    zx_status_t status = zx_object_get_property(
        zx_process_self(), ZX_PROP_PROCESS_VDSO_BASE_ADDRESS, &vdso, sizeof(vdso));
    if (block == nullptr || status != ZX_OK) {
        return 1;
    }
    const struct {
        const char* name;
        uintptr_t place;
    } places[] = {{"code", (uintptr_t)main},
                  {"stack", (uintptr_t)__builtin_frame_address(0)},
                  {"heap", (uintptr_t)block},
                  {"vdso", vdso}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%s%s", places[i].name, run);
        print_place(name, places[i].place);
    }
    free(block);
    return 0;
}
