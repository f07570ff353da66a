// Encoding and decoding by description. Generated headers wrap these in functions with types.
//
// Ownership: a handle belongs to exactly one place at any time. Encoding moves the handles of the
// object into the encoder, whatever the outcome: after an error all of them are closed. Decoding
// moves the message's handles into the decoded object; after an error all of them are closed.
//
// No state, no locks: one thread at a time on an encoder, an object or a message.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <fidl/types.h>
#include <zircon/types.h>

typedef enum [[nodiscard]] fidl_error : uint8_t {
    FIDL_OK,
    FIDL_BAD_HEADER,     // no header, another format
    FIDL_BAD_ORDINAL,    // another method
    FIDL_NOT_ALIGNED,    // the buffer must start at a multiple of eight
    FIDL_TOO_SHORT,      // an object ends behind the message
    FIDL_TOO_LONG,       // bytes that no object takes
    FIDL_BAD_PADDING,    // not zero
    FIDL_BAD_PRESENCE,   // neither there nor absent
    FIDL_ABSENT,         // must be there
    FIDL_LIMIT,          // more elements than the type allows
    FIDL_TOO_DEEP,       // more than FIDL_MAX_DEPTH
    FIDL_BAD_VALUE,      // of a bool, strict enum or strict bits
    FIDL_BAD_UTF8,       // in a string
    FIDL_BAD_ENVELOPE,   // flags, sizes or handles do not fit the content
    FIDL_UNKNOWN_MEMBER, // of a strict union, or handles in one that is no resource
    FIDL_HANDLE_COUNT,   // too few, or too many
    FIDL_HANDLE_TYPE,    // another type of object
    FIDL_HANDLE_RIGHTS,  // a right is missing
    FIDL_BUFFER_FULL,    // encoding: no room for bytes or handles
} fidl_error_t;

const char* fidl_error_name(fidl_error_t error);

struct fidl_header {
    uint32_t txid;            // 0: no answer is expected
    uint8_t at_rest_flags[2]; // the first: 2 = wire format v2
    uint8_t dynamic_flags;    // FIDL_FLEXIBLE
    uint8_t magic;            // 1
    uint64_t ordinal;
};
static_assert(sizeof(struct fidl_header) == 16);

// The receiver may ignore the method if it does not know it.
constexpr uint8_t FIDL_FLEXIBLE = 0x80;

// ---- encoding ----

struct fidl_encoder {
    uint8_t* bytes; // aligned to 8
    size_t capacity;
    size_t len;
    zx_handle_disposition_t* handles; // for zx_channel_write_etc
    uint32_t handle_capacity;
    uint32_t handle_count;
};

// At the start of an empty encoder. `body` null: the message is its header.
fidl_error_t fidl_encode_message(struct fidl_encoder* e, uint32_t txid, uint64_t ordinal,
                                 uint8_t dynamic_flags, const struct fidl_type* body, void* object);
// Without a header.
fidl_error_t fidl_encode(struct fidl_encoder* e, const struct fidl_type* type, void* object);

// ---- decoding ----

struct fidl_message {
    void* bytes; // aligned to 8; decoding writes to them
    size_t len;
    zx_handle_info_t* handles; // as zx_channel_read_etc gives them; decoding writes to them
    uint32_t handle_count;
    void* body;       // out: the decoded object
    bool has_unknown; // out: members were skipped, their handles closed
};

// Looks at the header only. Closes nothing: the dispatcher that cannot use the message calls
// fidl_message_discard().
fidl_error_t fidl_message_header(const struct fidl_message* m, struct fidl_header* header);
void fidl_message_discard(struct fidl_message* m);

fidl_error_t fidl_decode_message(struct fidl_message* m, uint64_t ordinal,
                                 const struct fidl_type* body);
// Without a header.
fidl_error_t fidl_decode(struct fidl_message* m, const struct fidl_type* type);

// Closes every handle in a decoded (or not yet encoded) object and clears it there.
void fidl_close_handles(const struct fidl_type* type, void* object);
