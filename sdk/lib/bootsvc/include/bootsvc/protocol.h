// The protocol by which programs reach the files of the boot image: requests and answers over a
// channel that came as the directory "/boot" (PA_NS_DIR).
//
// Every message begins with the 16-byte header of FIDL's wire format; numbers are little-endian.
// Answers carry the request's transaction id and ordinal. A request that is malformed, or that
// carries handles it should not, is answered with INVALID_ARGS if it has a header, and its handles
// are closed; a message without a header ends the connection.
//
//   OPEN   path -> status, size, VMO                 a file, read-only, executable
//   LIST   cursor, path -> status, cursor, entries   files below a directory ("" = all), by full
//                                                    path; cursor 0 begins, an answer without
//                                                    entries ends
//   CLONE  channel -> (no answer)                    serves that channel as well
#pragma once

#include <stdint.h>

struct bootsvc_header {
    uint32_t txid;
    uint8_t flags[3];
    uint8_t magic;
    uint64_t ordinal;
};
static_assert(sizeof(struct bootsvc_header) == 16);
constexpr uint8_t bootsvc_magic = 1;

constexpr uint64_t bootsvc_open_ordinal = 0x6a61626f6f740001;
constexpr uint64_t bootsvc_list_ordinal = 0x6a61626f6f740002;
constexpr uint64_t bootsvc_clone_ordinal = 0x6a61626f6f740003;

constexpr uint32_t bootsvc_path_max = 255;
constexpr uint32_t bootsvc_message_max = 4096;

// OPEN and LIST. The path follows, without terminator or leading slash.
struct bootsvc_request {
    struct bootsvc_header header;
    uint32_t cursor; // OPEN: 0
    uint32_t path_len;
};
static_assert(sizeof(struct bootsvc_request) == 24);

struct bootsvc_open_reply {
    struct bootsvc_header header;
    int32_t status;
    uint32_t reserved;
    uint64_t size;
};
static_assert(sizeof(struct bootsvc_open_reply) == 32);

struct bootsvc_list_reply {
    struct bootsvc_header header;
    int32_t status;
    uint32_t cursor;
    uint32_t entry_count;
    uint32_t reserved;
    // entries
};
static_assert(sizeof(struct bootsvc_list_reply) == 32);

// An entry; its name follows, padded to a multiple of 4.
struct bootsvc_entry {
    uint32_t size;
    uint32_t name_len;
};
