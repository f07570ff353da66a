#include "fake_handles.h"

#include <stddef.h>
#include <stdlib.h>

#include <zircon/syscalls.h>

constexpr uint32_t SLOTS = 1 << 16;

static struct {
    uint32_t next, live;
    bool refuse_replace;
    struct {
        bool is_open;
        zx_obj_type_t type;
        zx_rights_t rights;
    } slots[SLOTS];
} fake; // one thread

void fake_handles_reset(void) {
    fake.next = 0;
    fake.live = 0;
    fake.refuse_replace = false;
}

zx_handle_info_t fake_handle(zx_obj_type_t type, zx_rights_t rights) {
    if (fake.next == SLOTS - 1) {
        abort();
    }
    zx_handle_t handle = ++fake.next;
    fake.slots[handle].is_open = true;
    fake.slots[handle].type = type;
    fake.slots[handle].rights = rights;
    fake.live++;
    return (zx_handle_info_t){.handle = handle, .type = type, .rights = rights};
}

uint32_t fake_handles_live(void) {
    return fake.live;
}

static void check_open(zx_handle_t handle) {
    if (handle > fake.next || !fake.slots[handle].is_open) {
        abort();
    }
}

zx_rights_t fake_handle_rights(zx_handle_t handle) {
    check_open(handle);
    return fake.slots[handle].rights;
}

void fake_handles_refuse_replace(bool refuse) {
    fake.refuse_replace = refuse;
}

zx_status_t zx_handle_close(zx_handle_t handle) {
    if (handle != ZX_HANDLE_INVALID) {
        check_open(handle);
        fake.slots[handle].is_open = false;
        fake.live--;
    }
    return ZX_OK;
}

zx_status_t zx_handle_replace(zx_handle_t handle, zx_rights_t rights, zx_handle_t* out) {
    check_open(handle);
    zx_obj_type_t type = fake.slots[handle].type;
    (void)zx_handle_close(handle);
    if (fake.refuse_replace) {
        *out = ZX_HANDLE_INVALID;
        return ZX_ERR_ACCESS_DENIED;
    }
    *out = fake_handle(type, rights).handle;
    return ZX_OK;
}
