// What a connection has collected is bounded by what one bootstrap message can carry; a client that
// goes beyond it loses its connection.
#include <launchsvc/server.h>

#include <stdlib.h>
#include <string.h>

#include <zircon/syscalls.h>

#include "wire.h"

constexpr uint32_t STRINGS_MAX = 4096;
constexpr uint32_t HANDLES_MAX = ZX_CHANNEL_MAX_MSG_HANDLES - launch_own_handles;

// Strings, terminated, in memory of their own.
struct strings {
    char* text;
    size_t len;
    uint32_t count;
};

struct launchsvc_connection {
    const struct launch_vdso* vdso;
    struct strings args, environ, names;
    struct launch_handle handles[HANDLES_MAX];
    uint32_t handle_count;
};

struct launchsvc_connection* launchsvc_connection_new(const struct launch_vdso* vdso) {
    struct launchsvc_connection* c = calloc(1, sizeof(*c));
    if (c != nullptr) {
        c->vdso = vdso;
    }
    return c;
}

// Everything collected is gone; handles that were used up are ZX_HANDLE_INVALID by then.
static void forget(struct launchsvc_connection* c) {
    for (uint32_t i = 0; i < c->handle_count; i++) {
        (void)zx_handle_close(c->handles[i].handle);
    }
    free(c->args.text);
    free(c->environ.text);
    free(c->names.text);
    *c = (struct launchsvc_connection){.vdso = c->vdso};
}

void launchsvc_connection_free(struct launchsvc_connection* c) {
    forget(c);
    free(c);
}

// ---- collecting ----

static zx_status_t add_string(struct strings* s, const uint8_t* bytes, size_t len) {
    if (memchr(bytes, 0, len) != nullptr) {
        return ZX_ERR_INVALID_ARGS; // it would be two
    }
    if (s->count == STRINGS_MAX || len >= ZX_CHANNEL_MAX_MSG_BYTES - s->len) {
        return ZX_ERR_OUT_OF_RANGE;
    }
    char* text = realloc(s->text, s->len + len + 1);
    if (text == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    memcpy(text + s->len, bytes, len);
    text[s->len + len] = '\0';
    s->text = text;
    s->len += len + 1;
    s->count++;
    return ZX_OK;
}

static zx_status_t add_handle(struct launchsvc_connection* c, uint32_t info,
                              zx_handle_info_t* from) {
    if (c->handle_count == HANDLES_MAX) {
        return ZX_ERR_OUT_OF_RANGE;
    }
    c->handles[c->handle_count++] = (struct launch_handle){info, from->handle};
    from->handle = ZX_HANDLE_INVALID;
    return ZX_OK;
}

// Two passes over each message: the first checks all of it, the second, which then cannot find
// anything wrong, collects.

static zx_status_t handle_strings(struct wire_reader r, uint32_t handle_count,
                                  struct strings* into) {
    const uint8_t* head = wire_take(&r, 2, 8);
    uint64_t count = head != nullptr ? wire_vector(&r, head, STRINGS_MAX) : 0;
    const uint8_t* elements = wire_take(&r, count, 16);
    struct wire_reader at_strings = r;
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        (void)wire_take(&r, wire_vector(&r, elements + 16 * i, ZX_CHANNEL_MAX_MSG_BYTES), 1);
    }
    if (!wire_end(&r, handle_count)) {
        return ZX_ERR_IO_INVALID;
    }
    zx_status_t status = ZX_OK;
    for (uint64_t i = 0; i < count && status == ZX_OK; i++) {
        uint64_t len = wire_vector(&at_strings, elements + 16 * i, ZX_CHANNEL_MAX_MSG_BYTES);
        status = add_string(into, wire_take(&at_strings, len, 1), (size_t)len);
    }
    return status;
}

static zx_status_t handle_handles(struct launchsvc_connection* c, struct wire_reader r,
                                  zx_handle_info_t* handles, uint32_t handle_count) {
    const uint8_t* head = wire_take(&r, 2, 8);
    uint64_t count = head != nullptr ? wire_vector(&r, head, ZX_CHANNEL_MAX_MSG_HANDLES) : 0;
    const uint8_t* elements = wire_take(&r, count, 8);
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        wire_handle(&r, elements + 8 * i);
    }
    if (!wire_end(&r, handle_count)) {
        return ZX_ERR_IO_INVALID;
    }
    zx_status_t status = ZX_OK;
    for (uint64_t i = 0; i < count && status == ZX_OK; i++) {
        status = add_handle(c, wire_u32(elements + 8 * i + 4), &handles[i]);
    }
    return status;
}

static zx_status_t handle_names(struct launchsvc_connection* c, struct wire_reader r,
                                zx_handle_info_t* handles, uint32_t handle_count) {
    const uint8_t* head = wire_take(&r, 2, 8);
    uint64_t count = head != nullptr ? wire_vector(&r, head, ZX_CHANNEL_MAX_MSG_HANDLES) : 0;
    const uint8_t* elements = wire_take(&r, count, 24);
    struct wire_reader at_paths = r;
    for (uint64_t i = 0; i < count && !r.bad; i++) {
        const uint8_t* element = elements + 24 * i;
        uint64_t len = wire_vector(&r, element, ZX_CHANNEL_MAX_MSG_BYTES);
        wire_handle(&r, element + 16);
        r.bad = r.bad || wire_u32(element + 20) != 0;
        (void)wire_take(&r, len, 1);
    }
    if (!wire_end(&r, handle_count)) {
        return ZX_ERR_IO_INVALID;
    }
    zx_status_t status = ZX_OK;
    for (uint64_t i = 0; i < count && status == ZX_OK; i++) {
        uint64_t len = wire_vector(&at_paths, elements + 24 * i, ZX_CHANNEL_MAX_MSG_BYTES);
        uint32_t index = c->names.count;
        status = add_string(&c->names, wire_take(&at_paths, len, 1), (size_t)len);
        if (status == ZX_OK) {
            status = add_handle(c, PA_HND(PA_NS_DIR, index), &handles[i]);
        }
    }
    return status;
}

// ---- launching ----

// Pointers to the strings; `*at` moves on.
static const char* const* point(const struct strings* s, const char*** at) {
    const char** first = *at;
    const char* text = s->text;
    for (uint32_t i = 0; i < s->count; i++) {
        *(*at)++ = text;
        text += strlen(text) + 1;
    }
    return first;
}

static zx_status_t launch_collected(struct launchsvc_connection* c, const char* name,
                                    zx_handle_t executable, zx_handle_t job, zx_handle_t* process) {
    size_t count = (size_t)c->args.count + c->environ.count + c->names.count;
    const char** pointers = malloc((count + 1) * sizeof(*pointers));
    if (pointers == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    const char** at = pointers;
    struct launch_request request = {.job = job,
                                     .name = name,
                                     .file = {.vmo = executable},
                                     .vdso = c->vdso,
                                     .args = point(&c->args, &at),
                                     .arg_count = c->args.count,
                                     .environ = point(&c->environ, &at),
                                     .environ_count = c->environ.count,
                                     .names = point(&c->names, &at),
                                     .name_count = c->names.count,
                                     .handles = c->handles,
                                     .handle_count = c->handle_count};
    zx_status_t status = zx_vmo_get_size(executable, &request.file.len);
    if (status == ZX_OK) {
        status = launch(&request, process).status;
    }
    free(pointers);
    return status;
}

static zx_status_t handle_launch(struct launchsvc_connection* c, struct wire_reader r,
                                 const struct wire_header* header, zx_handle_info_t* handles,
                                 uint32_t handle_count, struct launchsvc_reply* reply) {
    const uint8_t* body = wire_take(&r, 3, 8);
    uint64_t name_len = 0;
    const uint8_t* name_bytes = nullptr;
    if (body != nullptr) {
        wire_handle(&r, body);
        wire_handle(&r, body + 4);
        name_len = wire_vector(&r, body + 8, ZX_MAX_NAME_LEN);
        name_bytes = wire_take(&r, name_len, 1);
    }
    if (!wire_end(&r, handle_count) || header->txid == 0) {
        return ZX_ERR_IO_INVALID;
    }
    if (handles[0].type != ZX_OBJ_TYPE_VMO || handles[1].type != ZX_OBJ_TYPE_JOB) {
        return ZX_ERR_WRONG_TYPE;
    }
    char name[ZX_MAX_NAME_LEN + 1] = {};
    memcpy(name, name_bytes, (size_t)name_len);
    zx_handle_t process = ZX_HANDLE_INVALID;
    zx_status_t status = launch_collected(c, name, handles[0].handle, handles[1].handle, &process);
    forget(c);
    struct wire_writer w = {.bytes = reply->bytes, .capacity = sizeof(reply->bytes)};
    wire_encode_launch_reply(&w, header->txid, status, process != ZX_HANDLE_INVALID);
    reply->len = (uint32_t)w.at;
    reply->process = process;
    return ZX_OK;
}

// ---- messages ----

zx_status_t launchsvc_handle(struct launchsvc_connection* c, const void* bytes, size_t len,
                             zx_handle_info_t* handles, uint32_t handle_count,
                             struct launchsvc_reply* reply) {
    struct wire_reader r;
    struct wire_header header;
    zx_status_t status = ZX_ERR_IO_INVALID;
    *reply = (struct launchsvc_reply){};
    if (wire_begin(&r, bytes, len, &header)) {
        switch (header.ordinal) {
        case LAUNCHSVC_ADD_ARGS:
            status = handle_strings(r, handle_count, &c->args);
            break;
        case LAUNCHSVC_ADD_ENVIRONS:
            status = handle_strings(r, handle_count, &c->environ);
            break;
        case LAUNCHSVC_ADD_NAMES:
            status = handle_names(c, r, handles, handle_count);
            break;
        case LAUNCHSVC_ADD_HANDLES:
            status = handle_handles(c, r, handles, handle_count);
            break;
        case LAUNCHSVC_LAUNCH:
            status = handle_launch(c, r, &header, handles, handle_count, reply);
            break;
        default:
            status = ZX_ERR_NOT_SUPPORTED;
            break;
        }
    }
    for (uint32_t i = 0; i < handle_count; i++) {
        (void)zx_handle_close(handles[i].handle); // what nobody took
    }
    return status;
}

zx_status_t launchsvc_serve(struct launchsvc_connection* c, zx_handle_t channel, void* buffer) {
    uint32_t len = 0;
    uint32_t handle_count = 0;
    zx_handle_info_t handles[ZX_CHANNEL_MAX_MSG_HANDLES];
    zx_status_t status = zx_channel_read_etc(channel, 0, buffer, handles, ZX_CHANNEL_MAX_MSG_BYTES,
                                             ZX_CHANNEL_MAX_MSG_HANDLES, &len, &handle_count);
    struct launchsvc_reply reply = {};
    if (status == ZX_OK) {
        status = launchsvc_handle(c, buffer, len, handles, handle_count, &reply);
    }
    if (status == ZX_OK && reply.len != 0) {
        // A client that does not read its answers loses its connection, and does not end the
        // service.
        status = zx_channel_write(channel, ZX_CHANNEL_WRITE_MAY_REFUSE, reply.bytes, reply.len,
                                  &reply.process, reply.process != ZX_HANDLE_INVALID);
        status = status == ZX_ERR_SHOULD_WAIT ? ZX_ERR_NO_RESOURCES : status;
    }
    return status;
}
