// Between writing the journal (journal.c) and replaying it (replay.c): what it looks like on disk.
#pragma once

#include "core.h"

// All numbers are big-endian.
constexpr uint32_t JOURNAL_MAGIC = 0xc03b3998;
enum : uint32_t { TYPE_DESCRIPTOR = 1, TYPE_COMMIT, TYPE_SUPER_1, TYPE_SUPER_2, TYPE_REVOKE };
enum : uint32_t { TAG_ESCAPED = 1, TAG_SAME_UUID = 2, TAG_LAST = 8 };
constexpr uint32_t JOURNAL_INCOMPAT_REVOKE = 1;

struct journal_head {
    uint32_t magic, type, sequence;
};
struct journal_super {
    struct journal_head head;
    uint32_t block_size, len, first, sequence, start, error;
    uint32_t compat, incompat, ro_compat;
    uint8_t uuid[16];
    uint32_t users;
};
static_assert(offsetof(struct journal_super, start) == 28);
static_assert(offsetof(struct journal_super, users) == 64);
struct journal_tag {
    uint32_t block, flags;
};
constexpr uint32_t UUID_LEN = 16; // behind the first tag of a descriptor
struct journal_revoke {
    struct journal_head head;
    uint32_t len; // of all that is used in this block
};

constexpr uint32_t JOURNAL_LEN = 1024; // the least that others accept

static inline uint32_t be(uint32_t n) {
    return __builtin_bswap32(n);
}

static inline struct journal_super* journal_super_of(const struct journal* j) {
    return (struct journal_super*)j->super;
}

// Reads inode 8 and what the journal says of itself. NOT_SUPPORTED: there is none, or one that we
// do not know.
zx_status_t journal_load(struct ext2* fs);
// A block of it by its number.
zx_status_t journal_read(struct ext2* fs, uint32_t at, void* data);
// Where it begins (0: it is empty), and with which transaction. It is on the disk when this
// answers.
zx_status_t journal_set_start(struct ext2* fs, uint32_t start, uint32_t sequence);
