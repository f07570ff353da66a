#include "random_object.h"

#include <stdlib.h>
#include <string.h>

#include <zircon/rights.h>

#include "fake_handles.h"

constexpr unsigned DEEPEST = 6;  // lists end here, vectors and tables are empty
constexpr uint64_t LONGEST = 20; // of what has no limit

static void fill(struct random_maker* r, const struct fidl_type* t, uint8_t* at, unsigned depth);

uint64_t random_next(struct random_maker* r, uint64_t bound) {
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (r->state >> 33) % bound;
}

static uint8_t* reserve(struct random_maker* r, size_t len) {
    len = (len + 7) & ~(size_t)7;
    if (len > r->capacity - r->used) {
        abort();
    }
    uint8_t* taken = r->memory + r->used;
    r->used += len;
    memset(taken, 0, len);
    return taken;
}

static void fill_value(struct random_maker* r, const struct fidl_type* t, uint8_t* at) {
    uint64_t value = random_next(r, 1u << 31) << 32 | random_next(r, 1u << 31);
    if (t->kind == FIDL_BOOL) {
        value &= 1;
    } else if (t->kind == FIDL_ENUM && t->strict) {
        value = t->values[value % t->count];
    } else if (t->kind == FIDL_BITS && t->strict) {
        value &= t->mask;
    }
    memcpy(at, &value, t->size);
}

static void fill_text(struct random_maker* r, uint8_t* at, uint64_t len) {
    static const char* const pieces[] = {"a", "/", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (uint64_t i = 0; i < len;) {
        const char* piece = pieces[random_next(r, 5)];
        piece = strlen(piece) > len - i ? "z" : piece;
        memcpy(at + i, piece, strlen(piece));
        i += strlen(piece);
    }
}

static void fill_vector(struct random_maker* r, const struct fidl_type* t, uint8_t* at,
                        unsigned depth) {
    if (t->optional && random_next(r, 3) == 0) {
        return;
    }
    uint64_t longest = t->limit < LONGEST ? t->limit : LONGEST;
    uint64_t count = depth > DEEPEST ? 0 : random_next(r, longest + 1);
    uint32_t size = t->kind == FIDL_STRING ? 1 : t->element->size;
    uint8_t* data = reserve(r, count * size);
    memcpy(at, &count, sizeof(count));
    memcpy(at + 8, &data, sizeof(data));
    if (t->kind == FIDL_STRING) {
        fill_text(r, data, count);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        fill(r, t->element, data + i * size, depth + 1);
    }
}

static void fill_handle(struct random_maker* r, const struct fidl_type* t, uint8_t* at) {
    if (t->optional && random_next(r, 2) == 0) {
        return;
    }
    zx_obj_type_t type = t->object != ZX_OBJ_TYPE_NONE ? t->object : ZX_OBJ_TYPE_EVENT;
    zx_rights_t rights = ZX_RIGHT_WAIT;
    if (t->rights != ZX_RIGHT_SAME_RIGHTS) {
        rights = t->rights | (random_next(r, 2) != 0 ? ZX_RIGHT_WAIT : 0); // sometimes more
    }
    zx_handle_t handle = fake_handle(type, rights).handle;
    memcpy(at, &handle, sizeof(handle));
}

static void fill_envelope(struct random_maker* r, const struct fidl_type* t, uint8_t* at,
                          unsigned depth) {
    uint8_t* content = reserve(r, t->size);
    fill(r, t, content, depth);
    union fidl_envelope e;
    fidl_envelope_set(&e, content, t->size);
    memcpy(at, &e, sizeof(e));
}

static void fill_table(struct random_maker* r, const struct fidl_type* t, uint8_t* at,
                       unsigned depth) {
    struct fidl_table table = {.count = t->members[t->count - 1].ordinal};
    table.members = (union fidl_envelope*)(void*)reserve(r, table.count * 8);
    for (uint32_t i = 0; i < t->count && depth <= DEEPEST; i++) {
        if (random_next(r, 2) != 0) {
            fill_envelope(r, t->members[i].type,
                          (uint8_t*)&table.members[t->members[i].ordinal - 1], depth + 2);
        }
    }
    memcpy(at, &table, sizeof(table));
}

static void fill_union(struct random_maker* r, const struct fidl_type* t, uint8_t* at,
                       unsigned depth) {
    if (t->optional && random_next(r, 2) == 0) {
        return;
    }
    const struct fidl_member* member = &t->members[random_next(r, t->count)];
    memcpy(at, &member->ordinal, sizeof(member->ordinal));
    fill_envelope(r, member->type, at + 8, depth + 1);
}

static void fill_box(struct random_maker* r, const struct fidl_type* t, uint8_t* at,
                     unsigned depth) {
    if (depth > DEEPEST || random_next(r, 3) == 0) {
        return;
    }
    uint8_t* object = reserve(r, t->element->size);
    fill(r, t->element, object, depth + 1);
    memcpy(at, &object, sizeof(object));
}

static void fill(struct random_maker* r, const struct fidl_type* t, uint8_t* at, unsigned depth) {
    switch (t->kind) {
    case FIDL_SCALAR:
    case FIDL_BOOL:
    case FIDL_ENUM:
    case FIDL_BITS:
        fill_value(r, t, at);
        return;
    case FIDL_HANDLE:
        fill_handle(r, t, at);
        return;
    case FIDL_STRING:
    case FIDL_VECTOR:
        fill_vector(r, t, at, depth);
        return;
    case FIDL_ARRAY:
        for (uint32_t i = 0; i < t->count; i++) {
            fill(r, t->element, at + (size_t)i * t->element->size, depth);
        }
        return;
    case FIDL_STRUCT:
        for (uint32_t i = 0; i < t->count; i++) {
            fill(r, t->fields[i].type, at + t->fields[i].offset, depth);
        }
        return;
    case FIDL_BOX:
        fill_box(r, t, at, depth);
        return;
    case FIDL_TABLE:
        fill_table(r, t, at, depth);
        return;
    case FIDL_UNION:
        fill_union(r, t, at, depth);
        return;
    }
}

void* random_object(struct random_maker* r, const struct fidl_type* t) {
    uint8_t* object = reserve(r, t->size);
    fill(r, t, object, 0);
    return object;
}

uint32_t random_transfer(const struct fidl_encoder* e, zx_handle_info_t* out) {
    for (uint32_t i = 0; i < e->handle_count; i++) {
        zx_handle_t handle = e->handles[i].handle;
        // An untyped handle is an event, as random_object() makes them.
        zx_obj_type_t type =
            e->handles[i].type != ZX_OBJ_TYPE_NONE ? e->handles[i].type : ZX_OBJ_TYPE_EVENT;
        out[i] = (zx_handle_info_t){
            .handle = handle, .type = type, .rights = fake_handle_rights(handle)};
    }
    return e->handle_count;
}
