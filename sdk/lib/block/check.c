#include <block/check.h>

#include <zircon/rights.h>

// [offset, offset + length) lies in [0, limit).
static bool is_inside(uint64_t offset, uint64_t length, uint64_t limit) {
    return length <= limit && offset <= limit - length;
}

static zx_status_t check_flags(const struct block_request* r) {
    bool in_group = (r->flags & BLOCK_IN_GROUP) != 0;
    bool known = (r->flags & ~(BLOCK_IN_GROUP | BLOCK_GROUP_END)) == 0;
    return known && (in_group ? r->group < BLOCK_GROUPS : r->flags == 0 && r->group == 0)
               ? ZX_OK
               : ZX_ERR_INVALID_ARGS;
}

static zx_status_t check_transfer(const struct jacinth_block_info* info,
                                  const struct block_request* r, const struct block_window* w) {
    bool is_read = r->opcode == BLOCK_READ;
    if (w == nullptr) {
        return ZX_ERR_NOT_FOUND;
    }
    if ((w->rights & (is_read ? ZX_RIGHT_WRITE : ZX_RIGHT_READ)) == 0 ||
        (!is_read && (info->flags & JACINTH_BLOCK_FLAGS_READ_ONLY) != 0)) {
        return ZX_ERR_ACCESS_DENIED;
    }
    return r->length <= info->max_transfer &&
                   is_inside(r->vmo_offset, r->length, w->size / info->block_size)
               ? ZX_OK
               : ZX_ERR_OUT_OF_RANGE;
}

static zx_status_t check_discard(const struct jacinth_block_info* info,
                                 const struct block_request* r) {
    if ((info->flags & JACINTH_BLOCK_FLAGS_DISCARD) == 0) {
        return ZX_ERR_NOT_SUPPORTED;
    }
    if (r->vmoid != 0 || r->vmo_offset != 0) {
        return ZX_ERR_INVALID_ARGS;
    }
    if ((info->flags & JACINTH_BLOCK_FLAGS_READ_ONLY) != 0) {
        return ZX_ERR_ACCESS_DENIED;
    }
    return r->length <= info->max_discard ? ZX_OK : ZX_ERR_OUT_OF_RANGE;
}

zx_status_t block_request_check(const struct jacinth_block_info* info,
                                const struct block_request* request,
                                const struct block_window* window) {
    const struct block_request* r = request;
    if (r->opcode >= BLOCK_OPCODES) {
        return ZX_ERR_NOT_SUPPORTED;
    }
    zx_status_t status = check_flags(r);
    if (status != ZX_OK) {
        return status;
    }
    if (r->opcode == BLOCK_FLUSH) {
        bool plain = r->length == 0 && r->vmoid == 0 && r->vmo_offset == 0 && r->device_offset == 0;
        return plain ? ZX_OK : ZX_ERR_INVALID_ARGS;
    }
    if (r->length == 0) {
        return ZX_ERR_INVALID_ARGS;
    }
    status = r->opcode == BLOCK_DISCARD ? check_discard(info, r) : check_transfer(info, r, window);
    if (status == ZX_OK && !is_inside(r->device_offset, r->length, info->block_count)) {
        status = ZX_ERR_OUT_OF_RANGE;
    }
    return status;
}
