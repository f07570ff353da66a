#include "debugger.h"

#include <stdint.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>

void dl_tell_debugger(const void* list) {
    uintptr_t before = 0;
    uintptr_t address = (uintptr_t)list;
    zx_handle_t self = zx_process_self();
    (void)zx_object_get_property(self, ZX_PROP_PROCESS_DEBUG_ADDR, &before, sizeof(before));
    (void)zx_object_set_property(self, ZX_PROP_PROCESS_DEBUG_ADDR, &address, sizeof(address));
    if (before == ZX_PROCESS_DEBUG_ADDR_BREAK_ON_SET) {
        __asm__ volatile("int3");
    }
}
