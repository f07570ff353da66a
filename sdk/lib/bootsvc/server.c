#include <string.h>

#include <bootsvc/protocol.h>
#include <bootsvc/server.h>
#include <zircon/syscalls.h>

struct incoming {
    alignas(8) char bytes[sizeof(struct bootsvc_request) + bootsvc_path_max];
    uint32_t len;
    zx_handle_info_t handles[4];
    uint32_t handle_count;
};

// A client that does not read its answers gets no more of them, and loses its connection: the write
// must not end the server.
static zx_status_t answer(zx_handle_t channel, const void* bytes, size_t len, zx_handle_t vmo) {
    zx_status_t status = zx_channel_write(channel, ZX_CHANNEL_WRITE_MAY_REFUSE, bytes,
                                          (uint32_t)len, &vmo, vmo != ZX_HANDLE_INVALID);
    return status == ZX_ERR_SHOULD_WAIT ? ZX_ERR_NO_RESOURCES : status;
}

// The path of an OPEN or LIST; false: the message is malformed.
static bool request_of(const struct incoming* in, struct bootsvc_request* request,
                       const char** path) {
    if (in->len < sizeof(*request) || in->handle_count != 0) {
        return false;
    }
    memcpy(request, in->bytes, sizeof(*request));
    *path = in->bytes + sizeof(*request);
    return request->path_len == in->len - sizeof(*request);
}

static zx_status_t serve_open(const struct bootsvc* svc, zx_handle_t channel,
                              const struct incoming* in, const struct bootsvc_header* header) {
    struct bootsvc_open_reply reply = {.header = *header, .status = ZX_ERR_INVALID_ARGS};
    struct bootsvc_request request;
    const char* path;
    zx_handle_t vmo = ZX_HANDLE_INVALID;
    if (request_of(in, &request, &path)) {
        reply.status = bootsvc_open_local(svc, path, request.path_len, &vmo, &reply.size);
    }
    return answer(channel, &reply, sizeof(reply), vmo);
}

// Whether a file is the path itself or lies below it. An empty path is above everything.
static bool is_below(const struct bootfs_file* file, const char* path, uint32_t len) {
    if (len == 0) {
        return true;
    }
    return file->name_len >= len && memcmp(file->name, path, len) == 0 &&
           (file->name_len == len || file->name[len] == '/');
}

// Appends an entry if there is room.
static bool put_entry(char* bytes, uint32_t* at, const struct bootfs_file* file) {
    struct bootsvc_entry entry = {.size = file->data_len, .name_len = file->name_len};
    uint32_t padded = (file->name_len + 3) & ~3u;
    if (sizeof(entry) + padded > bootsvc_message_max - *at) {
        return false;
    }
    memcpy(bytes + *at, &entry, sizeof(entry));
    memset(bytes + *at + sizeof(entry), 0, padded);
    memcpy(bytes + *at + sizeof(entry), file->name, file->name_len);
    *at += (uint32_t)sizeof(entry) + padded;
    return true;
}

static zx_status_t serve_list(const struct bootsvc* svc, zx_handle_t channel,
                              const struct incoming* in, const struct bootsvc_header* header) {
    alignas(8) char bytes[bootsvc_message_max];
    uint32_t at = sizeof(struct bootsvc_list_reply);
    struct bootsvc_list_reply reply = {.header = *header, .status = ZX_ERR_INVALID_ARGS};
    struct bootsvc_request request;
    const char* path;
    if (request_of(in, &request, &path)) {
        reply.status = ZX_OK;
        reply.cursor = request.cursor;
        struct bootfs_file file;
        for (uint32_t cursor = request.cursor; bootfs_next(&svc->fs, &cursor, &file);) {
            if (is_below(&file, path, request.path_len)) {
                if (!put_entry(bytes, &at, &file)) {
                    break;
                }
                reply.entry_count++;
            }
            reply.cursor = cursor;
        }
    }
    memcpy(bytes, &reply, sizeof(reply));
    return answer(channel, bytes, at, ZX_HANDLE_INVALID);
}

static zx_status_t serve_clone(struct incoming* in, zx_handle_t* cloned) {
    bool sound = in->len == sizeof(struct bootsvc_header) && in->handle_count == 1 &&
                 in->handles[0].type == ZX_OBJ_TYPE_CHANNEL;
    if (sound) { // else there is no answer to give
        *cloned = in->handles[0].handle;
        in->handle_count = 0;
    }
    return ZX_OK;
}

static zx_status_t serve_unknown(zx_handle_t channel, const struct bootsvc_header* header) {
    struct bootsvc_open_reply reply = {.header = *header, .status = ZX_ERR_INVALID_ARGS};
    return answer(channel, &reply, sizeof(reply), ZX_HANDLE_INVALID);
}

zx_status_t bootsvc_serve(const struct bootsvc* svc, zx_handle_t channel, zx_handle_t* cloned) {
    struct incoming in = {};
    *cloned = ZX_HANDLE_INVALID;
    // What does not fit is no request: it is discarded and ends the connection.
    zx_status_t status =
        zx_channel_read_etc(channel, ZX_CHANNEL_READ_MAY_DISCARD, in.bytes, in.handles,
                            sizeof(in.bytes), 4, &in.len, &in.handle_count);
    if (status != ZX_OK) {
        return status;
    }
    struct bootsvc_header header;
    if (in.len < sizeof(header)) {
        status = ZX_ERR_IO_INVALID;
    } else {
        memcpy(&header, in.bytes, sizeof(header));
        if (header.ordinal == bootsvc_open_ordinal) {
            status = serve_open(svc, channel, &in, &header);
        } else if (header.ordinal == bootsvc_list_ordinal) {
            status = serve_list(svc, channel, &in, &header);
        } else if (header.ordinal == bootsvc_clone_ordinal) {
            status = serve_clone(&in, cloned);
        } else {
            status = serve_unknown(channel, &header);
        }
    }
    for (uint32_t i = 0; i < in.handle_count; i++) {
        (void)zx_handle_close(in.handles[i].handle);
    }
    return status;
}
