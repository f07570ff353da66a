#include <launcher/source.h>

#include <stdlib.h>
#include <string.h>

#include <fidl/channel.h>
#include <fidl/jacinth.io.h>
#include <zircon/syscalls.h>

constexpr uint32_t SMALL = 512;
// An answer of ReadAt: header, result, vector, contents.
constexpr uint32_t LARGE = JACINTH_IO_MAX_READ_AT + 64;

// ---- opening ----

static zx_status_t ask_vmo(struct launch_source* s) {
    alignas(8) uint8_t bytes[SMALL];
    struct jacinth_io_file_get_vmo_request r = {.flags = JACINTH_IO_FLAGS_READ |
                                                         JACINTH_IO_FLAGS_EXECUTE};
    struct jacinth_io_file_get_vmo_response* answer;
    zx_status_t status = jacinth_io_file_get_vmo_call(
        s->connection, s->deadline, &r, (struct fidl_storage){bytes, sizeof(bytes)}, &answer);
    if (status == ZX_OK) {
        s->vmo = answer->vmo;
        s->len = answer->size;
    }
    return status;
}

static zx_status_t ask_length(struct launch_source* s) {
    alignas(8) uint8_t bytes[SMALL];
    struct jacinth_io_node_get_attributes_response* answer;
    zx_status_t status = jacinth_io_node_get_attributes_call(
        s->connection, s->deadline, (struct fidl_storage){bytes, sizeof(bytes)}, &answer);
    if (status != ZX_OK) {
        return status;
    }
    s->len = answer->attributes.size;
    return answer->attributes.kind == JACINTH_IO_KIND_FILE ? ZX_OK : ZX_ERR_NOT_FILE;
}

zx_status_t launch_source_open(zx_handle_t connection, zx_time_t deadline,
                               struct launch_source* out) {
    struct launch_source s = {.connection = connection, .deadline = deadline};
    zx_status_t status = ask_vmo(&s);
    if (status == ZX_ERR_NOT_SUPPORTED) {
        status = ask_length(&s);
    } else {
        (void)zx_handle_close(s.connection); // pages need nobody who serves them
        s.connection = ZX_HANDLE_INVALID;
    }
    if (status != ZX_OK) {
        launch_source_close(&s);
        return status;
    }
    *out = s;
    return ZX_OK;
}

void launch_source_close(struct launch_source* source) {
    (void)zx_handle_close(source->vmo);
    (void)zx_handle_close(source->connection);
    free(source->buffer);
    *source = (struct launch_source){};
}

// ---- reading ----

// What one request brings; nothing: the file ends there.
static zx_status_t read_some(struct launch_source* s, uint64_t offset, uint8_t* buffer, size_t len,
                             size_t* actual) {
    if (s->buffer == nullptr) {
        s->buffer = malloc(LARGE);
        if (s->buffer == nullptr) {
            return ZX_ERR_NO_MEMORY;
        }
    }
    uint32_t most = len < JACINTH_IO_MAX_READ_AT ? (uint32_t)len : JACINTH_IO_MAX_READ_AT;
    struct jacinth_io_file_read_at_request r = {.offset = offset, .count = most};
    struct jacinth_io_file_read_at_response* answer;
    s->requests++;
    zx_status_t status = jacinth_io_file_read_at_call(
        s->connection, s->deadline, &r, (struct fidl_storage){s->buffer, LARGE}, &answer);
    if (status != ZX_OK) {
        return status;
    }
    if (answer->data.count > most) {
        return ZX_ERR_IO_INVALID;
    }
    *actual = (size_t)answer->data.count;
    if (*actual != 0) {
        memcpy(buffer, answer->data.data, *actual);
    }
    s->bytes += *actual;
    return ZX_OK;
}

static int32_t read_connection(void* ctx, uint64_t offset, void* buffer, size_t len,
                               size_t* out_len) {
    *out_len = 0;
    for (size_t got = 0; got < len;) {
        size_t actual = 0;
        zx_status_t status =
            read_some(ctx, offset + got, (uint8_t*)buffer + got, len - got, &actual);
        if (status != ZX_OK) {
            return status;
        }
        if (actual == 0) {
            break;
        }
        got += actual;
        *out_len = got;
    }
    return ZX_OK;
}

zx_status_t launch_source_read(struct launch_source* source, uint64_t offset, void* buffer,
                               size_t len, size_t* actual) {
    uint64_t left = offset < source->len ? source->len - offset : 0;
    len = len < left ? len : (size_t)left;
    *actual = 0;
    if (source->vmo == ZX_HANDLE_INVALID) {
        return read_connection(source, offset, buffer, len, actual);
    }
    zx_status_t status = len != 0 ? zx_vmo_read(source->vmo, buffer, offset, len) : ZX_OK;
    *actual = status == ZX_OK ? len : 0;
    return status;
}

struct launch_file launch_source_file(struct launch_source* source) {
    return (struct launch_file){
        .vmo = source->vmo, .read = read_connection, .ctx = source, .len = source->len};
}
