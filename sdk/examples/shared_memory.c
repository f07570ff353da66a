// Two processes write into the same pages: a VMO that both map. An eventpair tells whose turn it
// is. The program starts itself for the other half.
#include <stdint.h>
#include <stdio.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>

#include "start.h"

enum { ROUNDS = 1000 };
enum { SIZE = 4096 };

struct shared {
    uint64_t count;
    char last_writer[16];
};

static struct shared* map(zx_handle_t vmo) {
    zx_vaddr_t at = 0;
    zx_status_t status =
        zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0, SIZE, &at);
    return status == ZX_OK ? (struct shared*)at : NULL;
}

// Waits for our turn, adds one, and gives the turn to the other side.
static zx_status_t take_turns(struct shared* s, zx_handle_t turn, const char* name) {
    for (int i = 0; i < ROUNDS; i++) {
        zx_status_t status =
            zx_object_wait_one(turn, ZX_EVENTPAIR_SIGNALED, ZX_TIME_INFINITE, NULL);
        if (status != ZX_OK) {
            return status;
        }
        zx_object_signal(turn, ZX_EVENTPAIR_SIGNALED, 0);
        s->count++;
        snprintf(s->last_writer, sizeof(s->last_writer), "%s", name);
        status = zx_object_signal_peer(turn, 0, ZX_EVENTPAIR_SIGNALED);
        if (status != ZX_OK && i + 1 < ROUNDS) {
            return status;
        }
    }
    return ZX_OK;
}

static int child(void) {
    struct shared* s = map(zx_take_startup_handle(PA_HND(PA_USER0, 0)));
    zx_handle_t turn = zx_take_startup_handle(PA_HND(PA_USER0, 1));
    return s != NULL && take_turns(s, turn, "child") == ZX_OK ? 0 : 1;
}

static int parent(const char* path0) {
    zx_handle_t vmo;
    zx_handle_t copy;
    zx_handle_t ours;
    zx_handle_t theirs;
    zx_handle_t process;
    if (zx_vmo_create(SIZE, 0, &vmo) != ZX_OK ||
        zx_handle_duplicate(vmo, ZX_RIGHT_SAME_RIGHTS, &copy) != ZX_OK ||
        zx_eventpair_create(0, &ours, &theirs) != ZX_OK) {
        return 1;
    }
    struct shared* s = map(vmo);
    struct launch_handle handles[] = {{PA_HND(PA_USER0, 0), copy}, {PA_HND(PA_USER0, 1), theirs}};
    if (s == NULL || start_beside(path0, "shared_memory", "child", handles, 2, zx_job_default(),
                                  &process) != ZX_OK) {
        return 1;
    }
    zx_object_signal(ours, 0, ZX_EVENTPAIR_SIGNALED); // the first turn is ours
    if (take_turns(s, ours, "parent") != ZX_OK || wait_for(process) != 0) {
        return 1;
    }
    printf("%llu, last by the %s\n", (unsigned long long)s->count, s->last_writer);
    return 0;
}

int main(int argc, char** argv) {
    return argc > 1 ? child() : parent(argv[0]);
}
