// Pager calls.

#include <syscall/impl.h>
#include <syscall/runtime.h>

#include <arch/user_copy.h>
#include <lib/align.h>
#include <object/pager.h>
#include <object/port.h>
#include <vm/vmo.h>

#include "impl_priv.h"

status_t sys_pager_create(uint32_t options, struct user_out_handle* out) {
    if (options != 0) {
        return STATUS_INVALID_ARGS;
    }
    struct pager* p;
    TRY(pager_create(&p));
    out->handle = handle_make(pager_object(p), ZX_DEFAULT_PAGER_RIGHTS);
    return STATUS_OK;
}

status_t sys_pager_create_vmo(struct pager* pager, uint32_t options, struct port* port,
                              uint64_t key, uint64_t size, struct user_out_handle* out) {
    struct vmo* v;
    TRY(pager_create_vmo(pager, options, port, key, size, &v));
    zx_rights_t rights = ZX_DEFAULT_VMO_RIGHTS;
    rights |= (options & ZX_VMO_RESIZABLE) != 0 ? ZX_RIGHT_RESIZE : 0;
    return give_vmo(v, rights, out);
}

status_t sys_pager_detach_vmo(struct pager* pager, struct vmo* vmo) {
    if (!pager_owns(pager, vmo)) {
        return STATUS_INVALID_ARGS;
    }
    vmo_detach_pager(vmo);
    return STATUS_OK;
}

status_t sys_pager_supply_pages(struct pager* pager, struct vmo* pager_vmo, uint64_t offset,
                                uint64_t length, struct vmo* aux_vmo, uint64_t aux_offset) {
    return pager_owns(pager, pager_vmo)
               ? vmo_supply_pages(pager_vmo, offset, length, aux_vmo, aux_offset)
               : STATUS_INVALID_ARGS;
}

static status_t op_fail(struct vmo* v, uint64_t offset, uint64_t length, uint64_t data) {
    switch ((zx_status_t)data) {
    case ZX_ERR_IO:
    case ZX_ERR_IO_DATA_INTEGRITY:
    case ZX_ERR_BAD_STATE:
    case ZX_ERR_NO_SPACE:
        return vmo_fail_pages(v, offset, length, (status_t)(zx_status_t)data);
    default:
        return STATUS_INVALID_ARGS;
    }
}

status_t sys_pager_op_range(struct pager* pager, uint32_t op, struct vmo* pager_vmo,
                            uint64_t offset, uint64_t length, uint64_t data) {
    if (!pager_owns(pager, pager_vmo)) {
        return STATUS_INVALID_ARGS;
    }
    switch (op) {
    case ZX_PAGER_OP_FAIL:
        return op_fail(pager_vmo, offset, length, data);
    case ZX_PAGER_OP_DIRTY:
        return data == 0 ? vmo_dirty_pages(pager_vmo, offset, length) : STATUS_INVALID_ARGS;
    case ZX_PAGER_OP_WRITEBACK_BEGIN:
        return (data & ~ZX_VMO_DIRTY_RANGE_IS_ZERO) == 0
                   ? vmo_writeback_begin(pager_vmo, offset, length, data != 0)
                   : STATUS_INVALID_ARGS;
    case ZX_PAGER_OP_WRITEBACK_END:
        return data == 0 ? vmo_writeback_end(pager_vmo, offset, length) : STATUS_INVALID_ARGS;
    default:
        return STATUS_INVALID_ARGS;
    }
}

status_t sys_pager_query_dirty_ranges(struct pager* pager, struct vmo* pager_vmo, uint64_t offset,
                                      uint64_t length, void __user* buffer, size_t buffer_size,
                                      size_t* actual, size_t* avail) {
    if (!pager_owns(pager, pager_vmo) || !is_page_aligned(offset) || !is_page_aligned(length)) {
        return STATUS_INVALID_ARGS;
    }
    if (!range_ok(offset, length, vmo_size(pager_vmo))) {
        return STATUS_OUT_OF_RANGE;
    }
    zx_vmo_dirty_range_t __user* out = (zx_vmo_dirty_range_t __user*)buffer;
    uint64_t at = offset;
    *actual = 0;
    *avail = 0;
    for (;;) {
        zx_vmo_dirty_range_t range;
        bool found;
        TRY(vmo_next_dirty(pager_vmo, &at, offset + length, &range, &found));
        if (!found) {
            return STATUS_OK;
        }
        if (*actual < buffer_size / sizeof(range)) {
            TRY(copy_to_user(&out[*actual], &range));
            (*actual)++;
        }
        (*avail)++;
    }
}

status_t sys_pager_query_vmo_stats(struct pager* pager, struct vmo* pager_vmo, uint32_t options,
                                   void __user* buffer, size_t buffer_size) {
    if (!pager_owns(pager, pager_vmo) || (options & ~ZX_PAGER_RESET_VMO_STATS) != 0 ||
        buffer_size < sizeof(zx_pager_vmo_stats_t)) {
        return STATUS_INVALID_ARGS;
    }
    zx_pager_vmo_stats_t stats = {
        .modified = vmo_modified(pager_vmo, options != 0) ? ZX_PAGER_VMO_STATS_MODIFIED : 0,
    };
    return copy_to_user((zx_pager_vmo_stats_t __user*)buffer, &stats);
}
