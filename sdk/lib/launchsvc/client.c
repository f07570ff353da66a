#include <launchsvc/client.h>

#include <stdlib.h>
#include <string.h>

#include <zircon/syscalls.h>

#include "wire.h"

static zx_status_t give_up(const zx_handle_t* handles, uint32_t count, zx_status_t status) {
    (void)zx_handle_close_many(handles, count);
    return status;
}

// Sends what was written and frees the buffer. The handles are gone in any case.
static zx_status_t send(zx_handle_t service, struct wire_writer* w, const zx_handle_t* handles,
                        uint32_t count) {
    zx_status_t status =
        w->full ? give_up(handles, count, ZX_ERR_OUT_OF_RANGE)
                : zx_channel_write(service, 0, w->bytes, (uint32_t)w->at, handles, count);
    free(w->bytes);
    return status;
}

// Room for a request with these strings (null: without), whatever its elements are.
static bool begin(struct wire_writer* w, const char* const* strings, uint32_t count) {
    size_t capacity = 32 + 24 * (size_t)count;
    for (uint32_t i = 0; strings != nullptr && i < count; i++) {
        capacity += strlen(strings[i]) + 8;
    }
    // What is longer cannot be sent.
    capacity = capacity < ZX_CHANNEL_MAX_MSG_BYTES ? capacity : ZX_CHANNEL_MAX_MSG_BYTES;
    *w = (struct wire_writer){.bytes = malloc(capacity), .capacity = capacity};
    return w->bytes != nullptr;
}

zx_status_t launchsvc_connect(zx_handle_t root, zx_handle_t* out) {
    zx_handle_t theirs;
    zx_status_t status = zx_channel_create(0, out, &theirs);
    if (status != ZX_OK) {
        return status;
    }
    status = zx_channel_write(root, 0, nullptr, 0, &theirs, 1);
    if (status != ZX_OK) {
        (void)zx_handle_close(*out);
        *out = ZX_HANDLE_INVALID;
    }
    return status;
}

zx_status_t launchsvc_add_args(zx_handle_t service, const char* const* args, uint32_t count) {
    struct wire_writer w;
    if (!begin(&w, args, count)) {
        return ZX_ERR_NO_MEMORY;
    }
    wire_encode_strings(&w, LAUNCHSVC_ADD_ARGS, args, count);
    return send(service, &w, nullptr, 0);
}

zx_status_t launchsvc_add_environs(zx_handle_t service, const char* const* environ,
                                   uint32_t count) {
    struct wire_writer w;
    if (!begin(&w, environ, count)) {
        return ZX_ERR_NO_MEMORY;
    }
    wire_encode_strings(&w, LAUNCHSVC_ADD_ENVIRONS, environ, count);
    return send(service, &w, nullptr, 0);
}

zx_status_t launchsvc_add_names(zx_handle_t service, const char* const* paths,
                                const zx_handle_t* directories, uint32_t count) {
    struct wire_writer w;
    if (!begin(&w, paths, count)) {
        return give_up(directories, count, ZX_ERR_NO_MEMORY);
    }
    wire_encode_names(&w, paths, count);
    return send(service, &w, directories, count);
}

zx_status_t launchsvc_add_handles(zx_handle_t service, const uint32_t* ids,
                                  const zx_handle_t* handles, uint32_t count) {
    struct wire_writer w;
    if (!begin(&w, nullptr, count)) {
        return give_up(handles, count, ZX_ERR_NO_MEMORY);
    }
    wire_encode_handles(&w, ids, count);
    return send(service, &w, handles, count);
}

zx_status_t launchsvc_launch(zx_handle_t service, zx_handle_t executable, zx_handle_t job,
                             const char* name, zx_handle_t* process) {
    uint8_t request[128];
    uint8_t reply[64];
    zx_handle_t handles[] = {executable, job};
    struct wire_writer w = {.bytes = request, .capacity = sizeof(request)};
    if (strlen(name) > ZX_MAX_NAME_LEN) {
        return give_up(handles, 2, ZX_ERR_INVALID_ARGS); // the service would close the connection
    }
    wire_encode_launch(&w, 0, name);
    zx_handle_t got = ZX_HANDLE_INVALID;
    uint32_t got_bytes;
    uint32_t got_handles;
    zx_channel_call_args_t args = {.wr_bytes = request,
                                   .wr_handles = handles,
                                   .rd_bytes = reply,
                                   .rd_handles = &got,
                                   .wr_num_bytes = (uint32_t)w.at,
                                   .wr_num_handles = 2,
                                   .rd_num_bytes = sizeof(reply),
                                   .rd_num_handles = 1};
    zx_status_t status =
        zx_channel_call(service, 0, ZX_TIME_INFINITE, &args, &got_bytes, &got_handles);
    if (status != ZX_OK) {
        return status;
    }
    struct wire_reader r;
    struct wire_header header;
    const uint8_t* body = wire_begin(&r, reply, got_bytes, &header) ? wire_take(&r, 1, 8) : nullptr;
    if (body == nullptr || header.ordinal != LAUNCHSVC_LAUNCH || r.at != r.len ||
        (wire_u32(body + 4) != 0) != (got_handles == 1)) {
        return give_up(&got, got_handles, ZX_ERR_IO_INVALID);
    }
    status = (zx_status_t)wire_u32(body);
    if (status == ZX_OK && got != ZX_HANDLE_INVALID) {
        *process = got;
        return ZX_OK;
    }
    return give_up(&got, got_handles, status != ZX_OK ? status : ZX_ERR_IO_INVALID);
}
