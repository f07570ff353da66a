// Decoding in place. Nothing in the message is trusted.
//
// The cursor `next` only grows, and each object is taken from it exactly once, before anything in
// it is looked at: so no presence word that was already replaced by a pointer is ever read as one
// again, and the work is bounded by the length of the message. Recursion: FIDL_MAX_DEPTH levels of
// pointers, times the nesting of structures in place, which the compiler of the protocol bounds.
#include <stdckdint.h>
#include <string.h>

#include <fidl/message.h>
#include <zircon/rights.h>
#include <zircon/syscalls.h>

#include "fidl_priv.h"

struct decoder {
    uint8_t* bytes;
    size_t len;
    size_t next; // multiple of 8 while len allows
    zx_handle_info_t* handles;
    uint32_t handle_count;
    uint32_t handle_next;
    bool has_unknown;
};

// As on the wire.
struct envelope {
    uint32_t num_bytes; // or the content
    uint16_t num_handles;
    uint16_t flags;
};
static_assert(sizeof(struct envelope) == sizeof(union fidl_envelope));

static fidl_error_t decode(struct decoder* d, const struct fidl_type* t, uint8_t* at,
                           unsigned depth);

static uint64_t read_u64(const uint8_t* at) {
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static bool is_zero(const uint8_t* at, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

// The next object: `count` elements and padding.
static fidl_error_t take(struct decoder* d, uint64_t count, uint32_t size, uint8_t** out) {
    size_t left = d->len - d->next;
    size_t len;
    if (ckd_mul(&len, count, size) || len > left || fidl_padded(len) > left) {
        return FIDL_TOO_SHORT;
    }
    *out = d->bytes + d->next;
    d->next += fidl_padded(len);
    return is_zero(*out + len, fidl_padded(len) - len) ? FIDL_OK : FIDL_BAD_PADDING;
}

static void put_pointer(uint8_t* at, void* pointer) {
    memcpy(at, &pointer, sizeof(pointer));
}

static fidl_error_t decode_elements(struct decoder* d, const struct fidl_type* t, uint8_t* at,
                                    uint64_t count, unsigned depth) {
    if (fidl_is_plain(t)) {
        return FIDL_OK;
    }
    for (uint64_t i = 0; i < count; i++) {
        fidl_error_t error = decode(d, t, at + i * t->size, depth);
        if (error != FIDL_OK) {
            return error;
        }
    }
    return FIDL_OK;
}

// Whether what follows at this presence word is there.
static fidl_error_t presence(const uint8_t* at, bool* present) {
    uint64_t word = read_u64(at);
    *present = word == FIDL_PRESENT;
    return word == 0 || *present ? FIDL_OK : FIDL_BAD_PRESENCE;
}

// The two words of a vector or a table: how many, and whether they are there.
static fidl_error_t counted(const uint8_t* at, uint64_t* count, bool* present) {
    *count = read_u64(at);
    return presence(at + 8, present);
}

static fidl_error_t decode_vector(struct decoder* d, const struct fidl_type* t, uint8_t* at,
                                  unsigned depth) {
    uint64_t count;
    bool present;
    fidl_error_t error = counted(at, &count, &present);
    if (error != FIDL_OK) {
        return error;
    }
    if (!present) {
        return !t->optional ? FIDL_ABSENT : count != 0 ? FIDL_BAD_PRESENCE : FIDL_OK;
    }
    if (count > t->limit) {
        return FIDL_LIMIT;
    }
    if (depth == FIDL_MAX_DEPTH) {
        return FIDL_TOO_DEEP;
    }
    uint8_t* data;
    error = take(d, count, t->kind == FIDL_STRING ? 1 : t->element->size, &data);
    if (error != FIDL_OK) {
        return error;
    }
    put_pointer(at + 8, data);
    if (t->kind == FIDL_STRING) {
        return fidl_utf8_valid(data, count) ? FIDL_OK : FIDL_BAD_UTF8;
    }
    return decode_elements(d, t->element, data, count, depth + 1);
}

static fidl_error_t decode_box(struct decoder* d, const struct fidl_type* t, uint8_t* at,
                               unsigned depth) {
    bool present;
    fidl_error_t error = presence(at, &present);
    if (error != FIDL_OK || !present) {
        return error;
    }
    if (depth == FIDL_MAX_DEPTH) {
        return FIDL_TOO_DEEP;
    }
    uint8_t* data;
    error = take(d, 1, t->element->size, &data);
    if (error != FIDL_OK) {
        return error;
    }
    put_pointer(at, data);
    return decode(d, t->element, data, depth + 1);
}

static fidl_error_t decode_handle(struct decoder* d, const struct fidl_type* t, uint8_t* at) {
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    if (word == 0) {
        return t->optional ? FIDL_OK : FIDL_ABSENT;
    }
    if (word != FIDL_HANDLE_PRESENT) {
        return FIDL_BAD_PRESENCE;
    }
    if (d->handle_next == d->handle_count) {
        return FIDL_HANDLE_COUNT;
    }
    zx_handle_info_t* info = &d->handles[d->handle_next];
    if (t->object != ZX_OBJ_TYPE_NONE && info->type != t->object) {
        return FIDL_HANDLE_TYPE;
    }
    if (t->rights != ZX_RIGHT_SAME_RIGHTS && info->rights != t->rights) {
        if ((info->rights & t->rights) != t->rights) {
            return FIDL_HANDLE_RIGHTS;
        }
        // The receiver gets what the protocol says, not more. The old handle is gone in any case.
        zx_handle_t reduced = ZX_HANDLE_INVALID;
        zx_status_t status = zx_handle_replace(info->handle, t->rights, &reduced);
        info->handle = status == ZX_OK ? reduced : ZX_HANDLE_INVALID;
        info->rights = t->rights;
        if (status != ZX_OK) {
            return FIDL_HANDLE_RIGHTS;
        }
    }
    memcpy(at, &info->handle, sizeof(info->handle));
    d->handle_next++;
    return FIDL_OK;
}

static fidl_error_t skip_unknown(struct decoder* d, const struct envelope* wire, bool resource) {
    if ((wire->flags & FIDL_ENVELOPE_INLINE) == 0) {
        uint8_t* data;
        // Content that is not in place is longer than what fits there.
        if (wire->num_bytes == 0 || wire->num_bytes % 8 != 0) {
            return FIDL_BAD_ENVELOPE;
        }
        fidl_error_t error = take(d, wire->num_bytes, 1, &data);
        if (error != FIDL_OK) {
            return error;
        }
    }
    if (wire->num_handles > d->handle_count - d->handle_next) {
        return FIDL_HANDLE_COUNT;
    }
    if (wire->num_handles != 0 && !resource) {
        return FIDL_UNKNOWN_MEMBER;
    }
    for (uint32_t i = 0; i < wire->num_handles; i++) {
        zx_handle_info_t* info = &d->handles[d->handle_next++];
        (void)zx_handle_close(info->handle);
        info->handle = ZX_HANDLE_INVALID;
    }
    d->has_unknown = true;
    return FIDL_OK;
}

// The content of a known member, which lies at `depth`.
static fidl_error_t decode_content(struct decoder* d, const struct fidl_type* t, uint8_t* at,
                                   const struct envelope* wire, unsigned depth) {
    bool in_place = (wire->flags & FIDL_ENVELOPE_INLINE) != 0;
    if (in_place != (t->size <= FIDL_INLINE_MAX)) {
        return FIDL_BAD_ENVELOPE;
    }
    uint32_t handles_before = d->handle_next;
    size_t before = d->next;
    uint8_t* content = at;
    fidl_error_t error = FIDL_OK;
    if (!in_place) {
        error = take(d, 1, t->size, &content);
    } else if (!is_zero(at + t->size, FIDL_INLINE_MAX - t->size)) {
        error = FIDL_BAD_PADDING;
    }
    if (error != FIDL_OK) {
        return error;
    }
    error = decode(d, t, content, depth);
    if (error != FIDL_OK) {
        return error;
    }
    if ((!in_place && d->next - before != wire->num_bytes) ||
        d->handle_next - handles_before != wire->num_handles) {
        return FIDL_BAD_ENVELOPE;
    }
    if (in_place) {
        memset(at + offsetof(union fidl_envelope, handle_count), 0, sizeof(uint16_t));
    } else {
        put_pointer(at, content);
    }
    return FIDL_OK;
}

// `t` null: an unknown member. The envelope's content lies at `depth`.
static fidl_error_t decode_envelope(struct decoder* d, const struct fidl_type* t, bool resource,
                                    uint8_t* at, unsigned depth) {
    struct envelope wire;
    memcpy(&wire, at, sizeof(wire));
    if ((wire.flags & ~FIDL_ENVELOPE_INLINE) != 0) {
        return FIDL_BAD_ENVELOPE;
    }
    if (depth > FIDL_MAX_DEPTH) {
        return FIDL_TOO_DEEP;
    }
    if (t != nullptr) {
        return decode_content(d, t, at, &wire, depth);
    }
    memset(at, 0, sizeof(wire));
    return skip_unknown(d, &wire, resource);
}

static fidl_error_t decode_table(struct decoder* d, const struct fidl_type* t, uint8_t* at,
                                 unsigned depth) {
    uint64_t count;
    bool present;
    fidl_error_t error = counted(at, &count, &present);
    if (error != FIDL_OK) {
        return error;
    }
    if (!present) {
        return FIDL_ABSENT;
    }
    if (depth == FIDL_MAX_DEPTH) {
        return FIDL_TOO_DEEP;
    }
    uint8_t* members;
    error = take(d, count, sizeof(union fidl_envelope), &members);
    if (error != FIDL_OK) {
        return error;
    }
    put_pointer(at + 8, members);
    // One encoding for each message: the table ends with a member that is there.
    if (count != 0 && read_u64(members + 8 * (count - 1)) == 0) {
        return FIDL_BAD_ENVELOPE;
    }
    for (uint64_t i = 0; i < count && error == FIDL_OK; i++) {
        uint8_t* envelope = members + 8 * i;
        if (read_u64(envelope) != 0) {
            error =
                decode_envelope(d, fidl_member_type(t, i + 1), t->resource, envelope, depth + 2);
        }
    }
    return error;
}

static fidl_error_t decode_union(struct decoder* d, const struct fidl_type* t, uint8_t* at,
                                 unsigned depth) {
    uint64_t ordinal = read_u64(at);
    bool is_absent = read_u64(at + 8) == 0;
    if (ordinal == 0) {
        return !is_absent ? FIDL_BAD_ENVELOPE : t->optional ? FIDL_OK : FIDL_ABSENT;
    }
    if (is_absent) {
        return FIDL_BAD_ENVELOPE;
    }
    const struct fidl_type* member = fidl_member_type(t, ordinal);
    if (member == nullptr && t->strict) {
        return FIDL_UNKNOWN_MEMBER;
    }
    return decode_envelope(d, member, t->resource, at + 8, depth + 1);
}

static fidl_error_t decode_struct(struct decoder* d, const struct fidl_type* t, uint8_t* at,
                                  unsigned depth) {
    if (t->count == 0) {
        return at[0] == 0 ? FIDL_OK : FIDL_BAD_PADDING; // a struct without fields is a zero byte
    }
    for (uint32_t i = 0; i < t->count; i++) {
        const struct fidl_field* field = &t->fields[i];
        fidl_error_t error = decode(d, field->type, at + field->offset, depth);
        if (error != FIDL_OK) {
            return error;
        }
        if (!is_zero(at + field->offset + field->type->size, field->padding)) {
            return FIDL_BAD_PADDING;
        }
    }
    return FIDL_OK;
}

static fidl_error_t decode(struct decoder* d, const struct fidl_type* t, uint8_t* at,
                           unsigned depth) {
    switch (t->kind) {
    case FIDL_SCALAR:
        return FIDL_OK;
    case FIDL_BOOL:
    case FIDL_ENUM:
    case FIDL_BITS:
        return fidl_check_value(t, at);
    case FIDL_HANDLE:
        return decode_handle(d, t, at);
    case FIDL_STRING:
    case FIDL_VECTOR:
        return decode_vector(d, t, at, depth);
    case FIDL_ARRAY:
        return decode_elements(d, t->element, at, t->count, depth);
    case FIDL_STRUCT:
        return decode_struct(d, t, at, depth);
    case FIDL_BOX:
        return decode_box(d, t, at, depth);
    case FIDL_TABLE:
        return decode_table(d, t, at, depth);
    case FIDL_UNION:
        return decode_union(d, t, at, depth);
    }
    return FIDL_BAD_VALUE; // not a description
}

void fidl_message_discard(struct fidl_message* m) {
    for (uint32_t i = 0; i < m->handle_count; i++) {
        if (m->handles[i].handle != ZX_HANDLE_INVALID) {
            (void)zx_handle_close(m->handles[i].handle);
        }
    }
    m->handle_count = 0;
    m->body = nullptr;
}

static fidl_error_t finish(struct fidl_message* m, fidl_error_t error) {
    if (error != FIDL_OK) {
        fidl_message_discard(m);
    }
    return error;
}

static fidl_error_t decode_body(struct fidl_message* m, size_t start,
                                const struct fidl_type* body) {
    struct decoder d = {.bytes = m->bytes,
                        .len = m->len,
                        .next = start,
                        .handles = m->handles,
                        .handle_count = m->handle_count};
    m->body = nullptr;
    m->has_unknown = false;
    if ((uintptr_t)m->bytes % 8 != 0) {
        return FIDL_NOT_ALIGNED;
    }
    uint8_t* object = nullptr;
    if (body != nullptr) {
        fidl_error_t error = take(&d, 1, body->size, &object);
        if (error == FIDL_OK) {
            error = decode(&d, body, object, 0);
        }
        if (error != FIDL_OK) {
            return error;
        }
    }
    if (d.next != d.len) {
        return FIDL_TOO_LONG;
    }
    if (d.handle_next != d.handle_count) {
        return FIDL_HANDLE_COUNT;
    }
    m->body = object;
    m->has_unknown = d.has_unknown;
    return FIDL_OK;
}

fidl_error_t fidl_decode(struct fidl_message* m, const struct fidl_type* type) {
    return finish(m, decode_body(m, 0, type));
}

fidl_error_t fidl_message_header(const struct fidl_message* m, struct fidl_header* header) {
    if (m->len < sizeof(*header)) {
        return FIDL_BAD_HEADER;
    }
    memcpy(header, m->bytes, sizeof(*header));
    bool understood = header->magic == FIDL_MAGIC && (header->at_rest_flags[0] & FIDL_V2) != 0;
    return understood && header->ordinal != 0 ? FIDL_OK : FIDL_BAD_HEADER;
}

fidl_error_t fidl_decode_message(struct fidl_message* m, uint64_t ordinal,
                                 const struct fidl_type* body) {
    struct fidl_header header;
    fidl_error_t error = fidl_message_header(m, &header);
    if (error == FIDL_OK && header.ordinal != ordinal) {
        error = FIDL_BAD_ORDINAL;
    }
    return finish(m, error != FIDL_OK ? error : decode_body(m, sizeof(header), body));
}
