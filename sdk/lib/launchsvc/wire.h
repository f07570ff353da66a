// The messages of the launcher service on the wire: FIDL's wire format v2, the protocol
// fuchsia.process/Launcher, as far as it is served here.
//
//     AddArgs(vector<vector<uint8>>)              AddEnvirons(the same)
//     AddNames(vector<{string path, handle}>)     AddHandles(vector<{handle, uint32 id}>)
//     Launch({handle VMO, handle JOB, string name}) -> ({status, optional handle PROCESS})
//
// The first four are one-way. They collect what the next Launch uses. Written by hand; the goldens
// in tests/goldens/launchsvc are what a compiler of the protocol must produce as well.
//
// Decoding trusts nothing: presence words, padding, counts, lengths, and that exactly the handles
// that the body names came along. The results point into the message.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

// The first 63 bits of the SHA-256 of "fuchsia.process/Launcher.NAME".
constexpr uint64_t LAUNCHSVC_LAUNCH = 0x11335a9928afbfa4;
constexpr uint64_t LAUNCHSVC_ADD_ARGS = 0x3be445d3e4fd6512;
constexpr uint64_t LAUNCHSVC_ADD_ENVIRONS = 0x73a3c97fa7fe1779;
constexpr uint64_t LAUNCHSVC_ADD_NAMES = 0x2579ee2c7be28662;
constexpr uint64_t LAUNCHSVC_ADD_HANDLES = 0x51025267a537a615;

struct wire_header {
    uint32_t txid;
    uint8_t at_rest_flags[2]; // the first: 2 = wire format v2
    uint8_t dynamic_flags;    // 0: whoever does not know the ordinal must close the channel
    uint8_t magic;            // 1
    uint64_t ordinal;
};
static_assert(sizeof(struct wire_header) == 16);

struct wire_bytes {
    const char* data;
    uint32_t len;
};

// ---- decoding ----

struct wire_reader {
    const uint8_t* bytes;
    size_t len;
    size_t at;        // the next object that has not been taken
    uint32_t handles; // that have been named
    bool bad;
};

// False: not a message of this format. The reader stands behind the header.
bool wire_begin(struct wire_reader* r, const void* bytes, size_t len, struct wire_header* header);
// True if everything was taken, and exactly `handle_count` handles were named.
bool wire_end(const struct wire_reader* r, uint32_t handle_count);

// An array of `count` elements: starts at a multiple of 8, its padding is zero. Null: bad.
const uint8_t* wire_take(struct wire_reader* r, uint64_t count, uint32_t element_size);
// A vector's or string's head: its count; bad if it is absent or longer than `max`.
uint64_t wire_vector(struct wire_reader* r, const uint8_t* at, uint64_t max);
void wire_handle(struct wire_reader* r, const uint8_t* at); // a handle that must be there
uint32_t wire_u32(const uint8_t* at);

// ---- encoding ----

struct wire_writer {
    uint8_t* bytes;
    size_t capacity;
    size_t at;
    bool full;
};

void wire_write_header(struct wire_writer* w, uint32_t txid, uint64_t ordinal);
void wire_write_u32(struct wire_writer* w, uint32_t value);
void wire_write_handle(struct wire_writer* w, bool present);
void wire_write_vector(struct wire_writer* w, uint64_t count);
void wire_write_bytes(struct wire_writer* w, const void* bytes, size_t len); // and padding

// The requests.
void wire_encode_strings(struct wire_writer* w, uint64_t ordinal, const char* const* strings,
                         uint32_t count);
void wire_encode_handles(struct wire_writer* w, const uint32_t* ids, uint32_t count);
void wire_encode_names(struct wire_writer* w, const char* const* names, uint32_t count);
void wire_encode_launch(struct wire_writer* w, uint32_t txid, const char* name);
void wire_encode_launch_reply(struct wire_writer* w, uint32_t txid, zx_status_t status,
                              bool process);
