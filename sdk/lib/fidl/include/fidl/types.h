// What generated code and its users share: the shapes of strings, vectors and envelopes in memory,
// and the description of a type that the one encoder and the one decoder (fidl/message.h) follow.
//
// A decoded message is the encoded one with its presence words replaced: by pointers into the same
// buffer, and by handles. So the C structures have exactly the layout of the wire (format v2), and
// decoding allocates nothing. Generated headers assert every size and offset.
//
// Why descriptions and not a pair of functions for each type: what reads untrusted bytes exists
// once, is small enough to be read, and is fuzzed as a whole.
#pragma once

#include <stdint.h>
#include <string.h>

#include <zircon/types.h>

// Levels of pointers and envelopes below the first object.
constexpr unsigned FIDL_MAX_DEPTH = 32;

struct fidl_string {
    uint64_t count;   // bytes
    const char* data; // not terminated; null: absent
};

// An element of a table, or the content of a union: all zero if absent. Content of at most four
// bytes lies in place.
union fidl_envelope {
    void* data;
    struct {
        uint8_t inline_value[4];
        uint16_t handle_count; // on the wire only
        uint16_t flags;        // FIDL_ENVELOPE_INLINE
    };
};
static_assert(sizeof(union fidl_envelope) == 8);
constexpr uint16_t FIDL_ENVELOPE_INLINE = 1;

struct fidl_table {
    uint64_t count; // up to the last ordinal that is present; ordinals count from 1
    union fidl_envelope* members;
};

struct fidl_union {
    uint64_t ordinal; // 0: absent
    union fidl_envelope envelope;
};

// Content of at most this many bytes lies in its envelope.
constexpr uint32_t FIDL_INLINE_MAX = 4;

// What the generated accessors call; `size` is that of the content in place.
static inline bool fidl_envelope_absent(const union fidl_envelope* e) {
    static const union fidl_envelope zero;
    return memcmp(e, &zero, sizeof(zero)) == 0;
}

static inline void* fidl_envelope_get(union fidl_envelope* e, uint32_t size) {
    if (fidl_envelope_absent(e)) {
        return nullptr;
    }
    return size <= FIDL_INLINE_MAX ? e->inline_value : e->data;
}

static inline void fidl_envelope_set(union fidl_envelope* e, void* content, uint32_t size) {
    *e = (union fidl_envelope){};
    if (size <= FIDL_INLINE_MAX) {
        memcpy(e->inline_value, content, size);
        e->flags = FIDL_ENVELOPE_INLINE;
    } else {
        e->data = content;
    }
}

static inline void* fidl_table_get(struct fidl_table* table, uint64_t ordinal, uint32_t size) {
    return ordinal <= table->count ? fidl_envelope_get(&table->members[ordinal - 1], size)
                                   : nullptr;
}

// The table has envelopes up to this ordinal.
static inline void fidl_table_set(struct fidl_table* table, uint64_t ordinal, void* content,
                                  uint32_t size) {
    fidl_envelope_set(&table->members[ordinal - 1], content, size);
}

static inline void* fidl_union_get(struct fidl_union* u, uint64_t ordinal, uint32_t size) {
    return u->ordinal == ordinal ? fidl_envelope_get(&u->envelope, size) : nullptr;
}

static inline void fidl_union_set(struct fidl_union* u, uint64_t ordinal, void* content,
                                  uint32_t size) {
    u->ordinal = ordinal;
    fidl_envelope_set(&u->envelope, content, size);
}

// Vectors of what needs no library: generated headers have those of their own types.
#define FIDL_DEFINE_VECTOR(tag, element) \
    struct tag {                         \
        uint64_t count;                  \
        element* data;                   \
    }
FIDL_DEFINE_VECTOR(fidl_vector_of_bool, bool);
FIDL_DEFINE_VECTOR(fidl_vector_of_int8, int8_t);
FIDL_DEFINE_VECTOR(fidl_vector_of_uint8, uint8_t);
FIDL_DEFINE_VECTOR(fidl_vector_of_int16, int16_t);
FIDL_DEFINE_VECTOR(fidl_vector_of_uint16, uint16_t);
FIDL_DEFINE_VECTOR(fidl_vector_of_int32, int32_t);
FIDL_DEFINE_VECTOR(fidl_vector_of_uint32, uint32_t);
FIDL_DEFINE_VECTOR(fidl_vector_of_int64, int64_t);
FIDL_DEFINE_VECTOR(fidl_vector_of_uint64, uint64_t);
FIDL_DEFINE_VECTOR(fidl_vector_of_float32, float);
FIDL_DEFINE_VECTOR(fidl_vector_of_float64, double);
FIDL_DEFINE_VECTOR(fidl_vector_of_string, struct fidl_string);
FIDL_DEFINE_VECTOR(fidl_vector_of_handle, zx_handle_t);

// ---- descriptions ----

enum fidl_kind : uint8_t {
    FIDL_SCALAR, // any bits are a value
    FIDL_BOOL,
    FIDL_ENUM,
    FIDL_BITS,
    FIDL_HANDLE,
    FIDL_STRING,
    FIDL_VECTOR,
    FIDL_ARRAY,
    FIDL_STRUCT,
    FIDL_BOX, // an optional struct behind a pointer
    FIDL_TABLE,
    FIDL_UNION,
};

struct fidl_type;

struct fidl_field {
    const struct fidl_type* type;
    uint32_t offset;
    uint32_t padding; // zero bytes behind it
};

struct fidl_member {
    uint64_t ordinal;
    const struct fidl_type* type;
};

struct fidl_type {
    enum fidl_kind kind;
    bool optional;                     // handle, string, vector, union
    bool strict;                       // enum, bits, union: unknown values are refused
    bool resource;                     // table, union: unknown members may carry handles
    uint32_t size;                     // in place
    uint32_t count;                    // of elements of an array, fields, members, or values
    uint32_t limit;                    // string, vector: most elements
    zx_obj_type_t object;              // handle; ZX_OBJ_TYPE_NONE: any
    zx_rights_t rights;                // handle; ZX_RIGHT_SAME_RIGHTS: any
    uint64_t mask;                     // bits: those that have names
    const struct fidl_type* element;   // vector, array, box
    const struct fidl_field* fields;   // struct
    const struct fidl_member* members; // table, union; ascending
    const uint64_t* values;            // enum; zero-extended
};

extern const struct fidl_type fidl_bool_type;
extern const struct fidl_type fidl_scalar8_type;
extern const struct fidl_type fidl_scalar16_type;
extern const struct fidl_type fidl_scalar32_type;
extern const struct fidl_type fidl_scalar64_type;

// What a peer answers to a flexible method that it does not know.
typedef enum fidl_framework_err : int32_t {
    FIDL_FRAMEWORK_ERR_UNKNOWN_METHOD = -2
} fidl_framework_err_t;
extern const struct fidl_type fidl_framework_err_type;
