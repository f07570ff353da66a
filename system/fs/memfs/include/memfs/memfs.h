// A file system in memory: nodes (node.c), directories (directory.c) and the operations that
// sdk/lib/io serves (ops.c). One loop's thread; no locks.
//
// A file is a VMO. What is written through streams grows it without a word to us, so its size is
// asked for, never remembered; what it takes (committed pages) is remembered for the sum and
// refreshed whenever the file is opened, closed, resized or looked at.
//
// What is bounded: nodes and names (counts that the creator sets), the texts of links, bytes of
// files at the moments above. What is not: growth through streams that are open. A stream that a
// client keeps after its connection is closed keeps the pages of a file that is gone, and nobody
// counts those.
#pragma once

#include <stdint.h>

#include <io/server.h>
#include <io/windows.h>
#include <lib/rbtree.h>
#include <zircon/types.h>

struct memfs {
    struct io_server server;
    struct memfs_node* root;
    zx_handle_t
        utc_clock; // ZX_HANDLE_INVALID: UTC is what it is without one (PA_CLOCK_UTC_AT_BOOT)
    uint64_t bytes_max, nodes_max;
    uint64_t bytes_used, nodes_used, names_used;
    uint64_t next_id;
};

struct memfs_node {
    struct io_node io; // a reference for each name, and one while the file system itself has it
    struct memfs* fs;
    uint64_t id;
    uint32_t mode;
    uint32_t links; // names; of a directory: 2 and one for each directory in it; 0: removed
    zx_time_t access_time, modification_time, change_time;
    union {
        struct {             // FILE
            zx_handle_t vmo; // ZX_HANDLE_INVALID: empty, and never opened for its contents
            struct io_windows windows;
            uint64_t counted;   // its part of bytes_used
            uint64_t seen_size; // when it was last looked at
            uint32_t writers;   // connections with WRITE
            bool touched;       // opened for writing since its times were set by hand
        };
        struct { // DIRECTORY
            struct rbtree by_name, by_cookie;
            uint64_t next_cookie;
            uint64_t entry_count;
            struct memfs_node* parent; // null: the root, or removed. A child does not hold its
                                       // parent: what is not empty is not removed
        };
        struct { // SYMLINK
            char* target;
            size_t target_len;
        };
    };
};

struct memfs_entry {
    struct rbtree_node by_name, by_cookie;
    struct memfs_node* node; // with a reference
    uint64_t cookie;         // ascending in the order in which names came: a listing goes by it
    size_t name_len;
    char name[];
};

zx_status_t memfs_init(struct memfs* fs);
// After all connections are gone: frees everything.
void memfs_destroy(struct memfs* fs);

zx_time_t memfs_now(const struct memfs* fs);
static inline struct memfs_node* memfs_node_of(struct io_node* node) {
    return (struct memfs_node*)node;
}
static_assert(offsetof(struct memfs_node, io) == 0);

// With one reference and no name. NO_SPACE: as many nodes as allowed.
zx_status_t memfs_node_new(struct memfs* fs, jacinth_io_kind_t kind, uint32_t mode,
                           struct memfs_node** out);
void memfs_node_free(struct memfs_node* node);
// Brings the sum of bytes up to date with what the file takes now; notices a change of its size.
void memfs_file_refresh(struct memfs_node* file);

// ---- directories ----

void memfs_directory_init(struct memfs_node* directory);
struct memfs_entry* memfs_find(struct memfs_node* directory, struct io_name name); // null: no
// Takes a reference. NO_SPACE: as many names as allowed.
zx_status_t memfs_add(struct memfs_node* directory, struct io_name name, struct memfs_node* node);
// Gives the name's reference back.
void memfs_remove(struct memfs_node* directory, struct memfs_entry* entry);
// The name now stands for another node.
void memfs_replace(struct memfs_entry* entry, struct memfs_node* node);
// The first entry behind the cookie; null: none.
struct memfs_entry* memfs_next(struct memfs_node* directory, uint64_t cookie);

extern const struct io_ops memfs_ops;
