// Encoding: copies an object graph into a message, in traversal order. Handles leave the object as
// they are reached, so that at any moment each is either there or with the encoder.
#include <stdckdint.h>
#include <string.h>

#include <fidl/message.h>
#include <zircon/rights.h>
#include <zircon/syscalls.h>

#include "fidl_priv.h"

static fidl_error_t encode(struct fidl_encoder* e, const struct fidl_type* t, uint8_t* from,
                           uint8_t* to, unsigned depth);

// Room for an object, all zero: padding needs no further thought.
static fidl_error_t make_room(struct fidl_encoder* e, uint64_t count, uint32_t size,
                              uint8_t** out) {
    size_t left = e->capacity - e->len;
    size_t len;
    if (ckd_mul(&len, count, size) || len > left || fidl_padded(len) > left) {
        return FIDL_BUFFER_FULL;
    }
    *out = e->bytes + e->len;
    e->len += fidl_padded(len);
    memset(*out, 0, fidl_padded(len));
    return FIDL_OK;
}

static void put_u64(uint8_t* at, uint64_t value) {
    memcpy(at, &value, sizeof(value));
}

static fidl_error_t encode_elements(struct fidl_encoder* e, const struct fidl_type* t,
                                    uint8_t* from, uint8_t* to, uint64_t count, unsigned depth) {
    if (fidl_is_plain(t)) {
        if (count != 0) {
            memcpy(to, from, count * t->size);
        }
        return FIDL_OK;
    }
    for (uint64_t i = 0; i < count; i++) {
        fidl_error_t error = encode(e, t, from + i * t->size, to + i * t->size, depth);
        if (error != FIDL_OK) {
            return error;
        }
    }
    return FIDL_OK;
}

static fidl_error_t encode_vector(struct fidl_encoder* e, const struct fidl_type* t, uint8_t* from,
                                  uint8_t* to, unsigned depth) {
    struct fidl_vector_of_uint8 v;
    memcpy(&v, from, sizeof(v));
    if (v.data == nullptr) {
        if (v.count != 0) {
            return FIDL_ABSENT;
        }
        if (t->optional) {
            return FIDL_OK;
        }
        // A required vector that was never set is an empty one.
    }
    if (v.count > t->limit) {
        return FIDL_LIMIT;
    }
    if (depth == FIDL_MAX_DEPTH) {
        return FIDL_TOO_DEEP;
    }
    uint8_t* data;
    fidl_error_t error =
        make_room(e, v.count, t->kind == FIDL_STRING ? 1 : t->element->size, &data);
    if (error != FIDL_OK) {
        return error;
    }
    put_u64(to, v.count);
    put_u64(to + 8, FIDL_PRESENT);
    if (t->kind == FIDL_VECTOR) {
        return encode_elements(e, t->element, v.data, data, v.count, depth + 1);
    }
    if (v.count != 0) {
        memcpy(data, v.data, v.count);
    }
    return fidl_utf8_valid(data, v.count) ? FIDL_OK : FIDL_BAD_UTF8;
}

static fidl_error_t encode_box(struct fidl_encoder* e, const struct fidl_type* t, uint8_t* from,
                               uint8_t* to, unsigned depth) {
    uint8_t* object;
    memcpy(&object, from, sizeof(object));
    if (object == nullptr) {
        return FIDL_OK;
    }
    if (depth == FIDL_MAX_DEPTH) {
        return FIDL_TOO_DEEP;
    }
    uint8_t* data;
    fidl_error_t error = make_room(e, 1, t->element->size, &data);
    if (error != FIDL_OK) {
        return error;
    }
    put_u64(to, FIDL_PRESENT);
    return encode(e, t->element, object, data, depth + 1);
}

static fidl_error_t encode_handle(struct fidl_encoder* e, const struct fidl_type* t, uint8_t* from,
                                  uint8_t* to) {
    zx_handle_t handle;
    memcpy(&handle, from, sizeof(handle));
    if (handle == ZX_HANDLE_INVALID) {
        return t->optional ? FIDL_OK : FIDL_ABSENT;
    }
    if (e->handle_count == e->handle_capacity) {
        return FIDL_BUFFER_FULL;
    }
    e->handles[e->handle_count++] = (zx_handle_disposition_t){
        .operation = ZX_HANDLE_OP_MOVE, .handle = handle, .type = t->object, .rights = t->rights};
    memset(from, 0, sizeof(handle));
    memcpy(to, &FIDL_HANDLE_PRESENT, sizeof(FIDL_HANDLE_PRESENT));
    return FIDL_OK;
}

// The envelope in the object is not zero. Its content lies at `depth`.
static fidl_error_t encode_envelope(struct fidl_encoder* e, const struct fidl_type* t,
                                    uint8_t* from, uint8_t* to, unsigned depth) {
    if (depth > FIDL_MAX_DEPTH) {
        return FIDL_TOO_DEEP;
    }
    union fidl_envelope object;
    memcpy(&object, from, sizeof(object));
    bool in_place = t->size <= FIDL_INLINE_MAX;
    uint32_t handles_before = e->handle_count;
    size_t before = e->len;
    // Handles are taken from where the content is, so not from the copy.
    uint8_t* content = in_place ? from : object.data;
    uint8_t* target = to;
    fidl_error_t error = FIDL_OK;
    if (!in_place) {
        error = make_room(e, 1, t->size, &target);
    } else if (object.flags != FIDL_ENVELOPE_INLINE) {
        error = FIDL_BAD_ENVELOPE;
    }
    if (error == FIDL_OK) {
        error = encode(e, t, content, target, depth);
    }
    if (error != FIDL_OK) {
        return error;
    }
    if (!in_place) {
        uint32_t num_bytes = (uint32_t)(e->len - before);
        memcpy(to, &num_bytes, sizeof(num_bytes));
    }
    uint16_t tail[] = {(uint16_t)(e->handle_count - handles_before),
                       in_place ? FIDL_ENVELOPE_INLINE : 0};
    memcpy(to + sizeof(uint32_t), tail, sizeof(tail));
    return FIDL_OK;
}

static fidl_error_t encode_table(struct fidl_encoder* e, const struct fidl_type* t, uint8_t* from,
                                 uint8_t* to, unsigned depth) {
    struct fidl_table table;
    memcpy(&table, from, sizeof(table));
    while (table.count != 0 && fidl_envelope_absent(&table.members[table.count - 1])) {
        table.count--;
    }
    if (depth == FIDL_MAX_DEPTH) {
        return FIDL_TOO_DEEP;
    }
    uint8_t* members;
    fidl_error_t error = make_room(e, table.count, sizeof(union fidl_envelope), &members);
    if (error != FIDL_OK) {
        return error;
    }
    put_u64(to, table.count);
    put_u64(to + 8, FIDL_PRESENT);
    for (uint64_t i = 0; i < table.count && error == FIDL_OK; i++) {
        const struct fidl_type* member = fidl_member_type(t, i + 1);
        if (fidl_envelope_absent(&table.members[i])) {
            continue;
        }
        error = member == nullptr
                    ? FIDL_UNKNOWN_MEMBER
                    : encode_envelope(e, member, (uint8_t*)&table.members[i],
                                      members + i * sizeof(union fidl_envelope), depth + 2);
    }
    return error;
}

static fidl_error_t encode_union(struct fidl_encoder* e, const struct fidl_type* t, uint8_t* from,
                                 uint8_t* to, unsigned depth) {
    struct fidl_union u;
    memcpy(&u, from, sizeof(u));
    if (u.ordinal == 0) {
        return !fidl_envelope_absent(&u.envelope) ? FIDL_BAD_ENVELOPE
               : t->optional                      ? FIDL_OK
                                                  : FIDL_ABSENT;
    }
    const struct fidl_type* member = fidl_member_type(t, u.ordinal);
    if (member == nullptr) {
        return FIDL_UNKNOWN_MEMBER;
    }
    if (fidl_envelope_absent(&u.envelope)) {
        return FIDL_BAD_ENVELOPE;
    }
    put_u64(to, u.ordinal);
    return encode_envelope(e, member, from + 8, to + 8, depth + 1);
}

static fidl_error_t encode_struct(struct fidl_encoder* e, const struct fidl_type* t, uint8_t* from,
                                  uint8_t* to, unsigned depth) {
    for (uint32_t i = 0; i < t->count; i++) {
        const struct fidl_field* field = &t->fields[i];
        fidl_error_t error =
            encode(e, field->type, from + field->offset, to + field->offset, depth);
        if (error != FIDL_OK) {
            return error;
        }
    }
    return FIDL_OK;
}

static fidl_error_t encode(struct fidl_encoder* e, const struct fidl_type* t, uint8_t* from,
                           uint8_t* to, unsigned depth) {
    switch (t->kind) {
    case FIDL_SCALAR:
        memcpy(to, from, t->size);
        return FIDL_OK;
    case FIDL_BOOL:
    case FIDL_ENUM:
    case FIDL_BITS:
        memcpy(to, from, t->size);
        return fidl_check_value(t, to);
    case FIDL_HANDLE:
        return encode_handle(e, t, from, to);
    case FIDL_STRING:
    case FIDL_VECTOR:
        return encode_vector(e, t, from, to, depth);
    case FIDL_ARRAY:
        return encode_elements(e, t->element, from, to, t->count, depth);
    case FIDL_STRUCT:
        return encode_struct(e, t, from, to, depth);
    case FIDL_BOX:
        return encode_box(e, t, from, to, depth);
    case FIDL_TABLE:
        return encode_table(e, t, from, to, depth);
    case FIDL_UNION:
        return encode_union(e, t, from, to, depth);
    }
    return FIDL_BAD_VALUE; // not a description
}

// After an error, what was not reached is still in the object.
static fidl_error_t finish(struct fidl_encoder* e, const struct fidl_type* type, void* object,
                           fidl_error_t error) {
    if (error != FIDL_OK) {
        for (uint32_t i = 0; i < e->handle_count; i++) {
            (void)zx_handle_close(e->handles[i].handle);
        }
        e->handle_count = 0;
        e->len = 0;
        if (type != nullptr) {
            fidl_close_handles(type, object);
        }
    }
    return error;
}

static fidl_error_t encode_body(struct fidl_encoder* e, const struct fidl_type* type,
                                void* object) {
    uint8_t* to;
    fidl_error_t error = make_room(e, 1, type->size, &to);
    return error != FIDL_OK ? error : encode(e, type, object, to, 0);
}

fidl_error_t fidl_encode(struct fidl_encoder* e, const struct fidl_type* type, void* object) {
    return finish(e, type, object, encode_body(e, type, object));
}

fidl_error_t fidl_encode_message(struct fidl_encoder* e, uint32_t txid, uint64_t ordinal,
                                 uint8_t dynamic_flags, const struct fidl_type* body,
                                 void* object) {
    struct fidl_header header = {.txid = txid,
                                 .at_rest_flags = {FIDL_V2},
                                 .dynamic_flags = dynamic_flags,
                                 .magic = FIDL_MAGIC,
                                 .ordinal = ordinal};
    uint8_t* to;
    fidl_error_t error = make_room(e, 1, sizeof(header), &to);
    if (error == FIDL_OK) {
        memcpy(to, &header, sizeof(header));
        error = body != nullptr ? encode_body(e, body, object) : FIDL_OK;
    }
    return finish(e, body, object, error);
}
