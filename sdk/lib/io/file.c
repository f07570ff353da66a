// Requests on files.
#include "server_priv.h"

static zx_status_t handle_resize(void* ctx, struct jacinth_io_file_resize_request* r,
                                 struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    zx_status_t status = (c->flags & JACINTH_IO_FLAGS_WRITE) != 0
                             ? c->server->ops->resize(c->node, r->length)
                             : ZX_ERR_ACCESS_DENIED;
    return io_reply_status(txn, status);
}

// What may be executed may be read.
static jacinth_io_flags_t allowed(const struct io_connection* c) {
    return c->flags | ((c->flags & JACINTH_IO_FLAGS_EXECUTE) != 0 ? JACINTH_IO_FLAGS_READ : 0);
}

static zx_status_t handle_get_vmo(void* ctx, struct jacinth_io_file_get_vmo_request* r,
                                  struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    struct jacinth_io_file_get_vmo_response response = {};
    zx_status_t status = ZX_ERR_INVALID_ARGS;
    if ((r->flags & ~IO_RIGHTS) == 0 && (r->flags & JACINTH_IO_FLAGS_READ) != 0) {
        status = (r->flags & ~allowed(c)) == 0
                     ? c->server->ops->get_vmo(c->node, r->flags, &response.vmo, &response.size)
                     : ZX_ERR_ACCESS_DENIED;
    }
    return status == ZX_OK ? fidl_reply_response(txn, &response) : io_reply_status(txn, status);
}

static zx_status_t handle_read_at(void* ctx, struct jacinth_io_file_read_at_request* r,
                                  struct fidl_txn* txn) {
    struct io_connection* c = ctx;
    const uint8_t* data = nullptr;
    uint32_t actual = 0;
    uint32_t count = r->count < JACINTH_IO_MAX_READ_AT ? r->count : JACINTH_IO_MAX_READ_AT;
    zx_status_t status = (allowed(c) & JACINTH_IO_FLAGS_READ) != 0
                             ? c->server->ops->read_at(c->node, r->offset, count, &data, &actual)
                             : ZX_ERR_ACCESS_DENIED;
    if (status != ZX_OK) {
        return io_reply_status(txn, status);
    }
    struct jacinth_io_file_read_at_response response = {.data = {actual, (uint8_t*)data}};
    return fidl_reply_response(txn, &response); // which only reads them
}

const struct jacinth_io_file_ops io_file_ops = {
    .resize = handle_resize,
    .get_vmo = handle_get_vmo,
    .read_at = handle_read_at,
    .clone = io_handle_clone,
    .get_attributes = io_handle_get_attributes,
    .set_attributes = io_handle_set_attributes,
    .sync = io_handle_sync,
};
