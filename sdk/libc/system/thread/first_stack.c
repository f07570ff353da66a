// Where the first thread's stack lies. Whoever started the process made it, and says nothing of it
// but its top: so the kernel is asked for the mapping in which the thread has begun.
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

#include <jacinth/startup.h>
#include <libc/error.h>
#include <libc/operations.h>

#include "table.h"
#include "thread_priv.h"

constexpr size_t SPARE = 16; // mappings that other threads may make meanwhile

static bool find(const zx_info_maps_t* maps, size_t count, uintptr_t inside, void** base,
                 size_t* len) {
    for (size_t i = 0; i < count; i++) {
        const zx_info_maps_t* m = &maps[i];
        if (m->type == ZX_INFO_MAPS_TYPE_MAPPING && inside - m->base < m->size) {
            *base = (void*)m->base;
            *len = m->size;
            return true;
        }
    }
    return false;
}

long thread_first_stack(void** base, size_t* len) {
    size_t there;
    zx_status_t status =
        zx_object_get_info(zx_process_self(), ZX_INFO_PROCESS_MAPS, nullptr, 0, nullptr, &there);
    if (status != ZX_OK) {
        return errno_from_status(status);
    }
    size_t size = (there + SPARE) * sizeof(zx_info_maps_t);
    long memory = sys_mmap(0, size, ABI_PROT_READ | ABI_PROT_WRITE,
                           ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS, -1, 0);
    if (memory < 0) {
        return memory;
    }
    zx_info_maps_t* maps = (zx_info_maps_t*)memory;
    size_t actual = 0;
    status =
        zx_object_get_info(zx_process_self(), ZX_INFO_PROCESS_MAPS, maps, size, &actual, nullptr);
    bool is_found = status == ZX_OK && find(maps, actual, thread_first_frame(), base, len);
    (void)sys_munmap((uintptr_t)maps, size);
    return is_found ? 0 : -ABI_ENOENT;
}
