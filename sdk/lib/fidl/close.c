// Closing what an object holds. The object may be half decoded or not fit for encoding: pointers
// that are null, unions without a known member and vectors without data are passed over.
#include <string.h>

#include <fidl/message.h>
#include <zircon/syscalls.h>

#include "fidl_priv.h"

static void close_in(const struct fidl_type* t, uint8_t* at, unsigned depth);

static void close_elements(const struct fidl_type* t, uint8_t* at, uint64_t count, unsigned depth) {
    // Values hold none, however many there are.
    if (t->kind <= FIDL_BITS || t->kind == FIDL_STRING) {
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        close_in(t, at + i * t->size, depth);
    }
}

static void close_envelope(const struct fidl_type* t, uint8_t* at, unsigned depth) {
    union fidl_envelope e;
    memcpy(&e, at, sizeof(e));
    if (t == nullptr || depth > FIDL_MAX_DEPTH) {
        return;
    }
    if (t->size <= FIDL_INLINE_MAX) {
        close_in(t, at, depth);
    } else if (e.data != nullptr) {
        close_in(t, e.data, depth);
    }
}

static void close_table(const struct fidl_type* t, const uint8_t* at, unsigned depth) {
    struct fidl_table table;
    memcpy(&table, at, sizeof(table));
    for (uint64_t i = 0; table.members != nullptr && i < table.count; i++) {
        close_envelope(fidl_member_type(t, i + 1), (uint8_t*)&table.members[i], depth + 2);
    }
}

static void close_vector(const struct fidl_type* t, const uint8_t* at, unsigned depth) {
    struct fidl_vector_of_uint8 v;
    memcpy(&v, at, sizeof(v));
    if (v.data != nullptr && depth < FIDL_MAX_DEPTH) {
        close_elements(t->element, v.data, v.count, depth + 1);
    }
}

static void close_handle(uint8_t* at) {
    zx_handle_t handle;
    memcpy(&handle, at, sizeof(handle));
    if (handle != ZX_HANDLE_INVALID) {
        (void)zx_handle_close(handle);
        memset(at, 0, sizeof(handle));
    }
}

static void close_in(const struct fidl_type* t, uint8_t* at, unsigned depth) {
    uint8_t* object;
    uint64_t ordinal;
    switch (t->kind) {
    case FIDL_SCALAR:
    case FIDL_BOOL:
    case FIDL_ENUM:
    case FIDL_BITS:
    case FIDL_STRING:
        return;
    case FIDL_HANDLE:
        close_handle(at);
        return;
    case FIDL_VECTOR:
        close_vector(t, at, depth);
        return;
    case FIDL_ARRAY:
        close_elements(t->element, at, t->count, depth);
        return;
    case FIDL_STRUCT:
        for (uint32_t i = 0; i < t->count; i++) {
            close_in(t->fields[i].type, at + t->fields[i].offset, depth);
        }
        return;
    case FIDL_BOX:
        memcpy(&object, at, sizeof(object));
        if (object != nullptr && depth < FIDL_MAX_DEPTH) {
            close_in(t->element, object, depth + 1);
        }
        return;
    case FIDL_TABLE:
        close_table(t, at, depth);
        return;
    case FIDL_UNION:
        memcpy(&ordinal, at, sizeof(ordinal));
        close_envelope(fidl_member_type(t, ordinal), at + 8, depth + 1);
        return;
    }
}

void fidl_close_handles(const struct fidl_type* type, void* object) {
    close_in(type, object, 0);
}
