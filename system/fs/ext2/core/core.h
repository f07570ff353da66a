// Between the parts of the core: cached blocks (cache.c), mounting (super.c), bitmaps (alloc.c),
// nodes (node.c), the map of files (map.c), directories (directory.c), operations on names
// (names.c), the order of writes (sync.c), the journal (journal.c, replay.c), contents through
// memory (data.c). One thread; no locks.
#pragma once

#include <lib/compiler.h>
#include <lib/list.h>

#include <ext2/ext2.h>

#include "layout.h"

// ---- cached blocks ----

// When a dirty block may be written (docs/design/ext2.md).
enum block_class : uint8_t {
    CLASS_FRESH,  // nothing on disk points at it: at once
    CLASS_BITMAP, // what is taken is set, what is given back is not yet cleared: at once
    CLASS_LINKS,  // of a directory or of pointers: after what it points at
    CLASS_TABLE,  // of inodes, which are put there when their turn has come: at once
    CLASS_COUNT,
    CLASS_CLEAN = CLASS_COUNT,
};

struct block {
    struct block* hash_next;
    struct list_node lru; // of those without pins
    struct list_node dirty;
    struct block* sorted; // while they are being written
    uint32_t number;
    uint32_t pins;
    enum block_class class;
    uint8_t* data;
};

constexpr uint32_t CACHE_BUCKETS = 4096;
struct cache {
    struct block* buckets[CACHE_BUCKETS];
    struct list lru; // least recently used first
    struct list dirty[CLASS_COUNT];
    uint32_t count, max, dirty_count;
    bool unflushed; // written since the last flush
    uint8_t* run;   // where neighbours are put together
};
constexpr uint32_t WRITE_RUN = 65536; // and what cache_fetch reads at once

zx_status_t cache_init(struct ext2* fs, uint32_t blocks);
void cache_destroy(struct ext2* fs);
// Pinned until block_put.
zx_status_t block_get(struct ext2* fs, uint32_t number, struct block** out);
// Reads what is not there yet of neighbours that will be asked for, in long requests. What cannot
// be read stays for block_get to say so.
bool cache_has(struct ext2* fs, uint32_t number);
void cache_fetch(struct ext2* fs, uint32_t first, uint32_t count);
// All zeros, FRESH.
zx_status_t block_new(struct ext2* fs, uint32_t number, struct block** out);
void block_put(struct ext2* fs, struct block* b);
void block_dirty(struct ext2* fs, struct block* b, enum block_class class);
// It is no metadata any more.
void block_forget(struct ext2* fs, uint32_t number);
zx_status_t cache_write(struct ext2* fs, enum block_class class);
zx_status_t cache_flush(struct ext2* fs); // if anything was written since

// ---- names ----

enum name_state : uint8_t {
    NAME_LIVE,
    NAME_GHOST,    // removed, still in its block
    NAME_REPLACED, // its block still has the inode it had before
};

struct dname {
    struct dname* next; // of its bucket
    struct list_node pending;
    struct node* directory; // with a reference, while pending
    uint64_t batch;         // in which it was added; 0: it was there
    uint32_t hash, ino;
    uint32_t position; // in the directory
    uint8_t type, len;
    enum name_state state;
    bool is_needed; // a ghost that is the only name of something on disk for a while
    char text[];
};

struct names {
    struct dname** buckets; // null: not loaded
    uint32_t bucket_count;
    uint32_t count; // all
    uint32_t live;
    uint32_t needed; // ghosts
    uint16_t* gaps;  // the largest free place of each block
    uint32_t block_count, gap_capacity;
    uint32_t first_gap; // blocks before this one have no room worth a look
};

// Directories that nobody uses keep their tables while all together have no more than these.
constexpr uint32_t NAMES_MAX = 400'000;

// ---- nodes ----

struct node {
    struct ext2_node base;
    struct node* hash_next;
    struct list_node lru;   // without references and clean
    struct list_node dirty; // changed in this batch
    struct node* parent;    // of a directory in use, with a reference
    uint32_t parent_ino;    // of a directory, also when it is not
    uint32_t refs;
    uint32_t ghosts;   // names that the disk still has
    uint32_t replaced; // names that the disk does not have yet, though somebody has lost them
    uint32_t level;    // for sync
    uint32_t nested;   // directories above it that this batch makes, or below it that it removes
    bool is_dirty;
    bool is_fresh;    // not alive on disk yet
    bool is_dead;     // dead on disk
    bool is_released; // its blocks and number were given back
    bool dotdot;      // ".." on disk is not parent_ino yet
    bool is_trimmed;  // after a cut of power: nothing lies behind its end any more
    struct inode_raw raw;
    struct names names;
};
static_assert(offsetof(struct node, base) == 0);

static inline struct node* node_of(struct ext2_node* n) {
    return (struct node*)n;
}
static inline const struct node* node_of_const(const struct ext2_node* n) {
    return (const struct node*)n;
}
static inline bool is_directory(const struct node* n) {
    return n->base.kind == EXT2_DIRECTORY;
}

// NOT_FOUND: it is dead.
zx_status_t node_get(struct ext2* fs, uint32_t ino, struct node** out);
zx_status_t node_new(struct ext2* fs, uint32_t ino, uint16_t mode, struct node** out);
static inline struct node* node_ref(struct node* n) {
    n->refs++;
    return n;
}
void node_unref(struct ext2* fs, struct node* n);
void node_dirty(struct ext2* fs, struct node* n);
// Takes a node that is clean again off the list of the batch.
void node_clean(struct ext2* fs, struct node* n);
void node_set_parent(struct ext2* fs, struct node* n, struct node* parent);
uint64_t node_size(const struct node* n);
void node_set_size(struct ext2* fs, struct node* n, uint64_t size);
// An inode that is dead already, or should have been cut: what another system left on its list of
// orphans. *next: the one after it.
zx_status_t node_orphan(struct ext2* fs, uint32_t ino, uint32_t* next);
// Pinned; *at: the inode in its block.
zx_status_t node_table(struct ext2* fs, uint32_t ino, struct block** out, struct inode_raw** at);
void nodes_destroy(struct ext2* fs);
void node_stamp(struct ext2* fs, struct node* n, bool modified);

// ---- the file system ----

struct run {
    uint32_t first, count;
};
struct runs {
    struct run* items;
    size_t count, capacity;
    uint64_t total;
};
zx_status_t runs_add(struct runs* runs, size_t mark, uint32_t first, uint32_t count);

// An image that has no journal is given one when a directory moves.
struct journal {
    bool is_open;        // found sound, and empty
    bool is_given_up;    // none can be made, or what is there cannot be used
    bool is_pending;     // the disk failed while a transaction was under way
    uint8_t* super;      // its block 0
    uint32_t first, len; // blocks
    struct node inode;   // for the map alone: it is on no list
};

constexpr uint32_t NODE_BUCKETS = 4096;

struct ext2 {
    struct ext2_device device;
    bool read_only;
    bool was_clean;
    bool is_marked;   // the disk may say that it is clean
    bool is_counted;  // this mount, in the superblock
    bool is_doubtful; // not all could be put right, or made: the next mount checks again
    uint64_t batch;   // from 1
    struct superblock_raw super;
    struct group_raw* groups;
    struct group_raw* groups_on_disk;
    uint32_t group_count, group_blocks; // and blocks that they take
    uint32_t block_size, block_shift, sectors_per_block;
    uint32_t pointers, pointer_shift; // of a block
    uint32_t inode_size, first_ino;
    bool has_filetype;
    bool counts_dirty; // groups and superblock
    struct cache cache;
    struct node* nodes[NODE_BUCKETS];
    struct list node_lru, dirty_nodes;
    uint32_t node_count, lru_count, dirty_node_count;
    uint32_t name_count; // in the tables of all directories
    struct node* root;
    struct list pending; // names that the next sync takes out or replaces
    uint32_t pending_count;
    bool needs_journal; // for this batch there is no order of writes
    struct journal journal;
    uint64_t set_aside; // blocks
    // Given back by the next sync. Blocks of attributes may have other owners.
    struct runs freed_blocks, freed_inodes, freed_attributes;
    uint32_t next_generation;
    uint32_t last_group; // of the last directory
};

zx_status_t fs_writable(const struct ext2* fs);
uint32_t fs_now(const struct ext2* fs);
// Before an operation that takes blocks: syncs if too much is dirty, or if room can be had by it.
zx_status_t fs_prepare(struct ext2* fs, uint64_t blocks);
// Whether a file or directory may own the block.
bool fs_block_valid(const struct ext2* fs, uint32_t block);
static inline uint32_t table_blocks(const struct ext2* fs) { // of inodes, in each group
    uint64_t len = (uint64_t)fs->super.inodes_per_group * fs->inode_size;
    return (uint32_t)((len + fs->block_size - 1) >> fs->block_shift);
}
zx_status_t write_super(struct ext2* fs);
zx_status_t write_groups(struct ext2* fs);
zx_status_t sync_batch(struct ext2* fs);
// Whether the next sync has metadata to write.
bool fs_has_changes(const struct ext2* fs);
// Before the first of these writes: the disk does not say any more that it is clean.
zx_status_t mark_unclean(struct ext2* fs);

// ---- the journal ----

// Before a change that needs it: makes one if there is none. NOT_SUPPORTED: there can be none.
zx_status_t journal_open(struct ext2* fs);
// Whether there is one already that can be used.
bool journal_is_there(struct ext2* fs);
// Whether the batch, and one more operation, fit into it.
bool journal_has_room(const struct ext2* fs);
// When it has answered these blocks will have changed, all of them; the caller writes them in
// place. What was written before is on the disk, too.
zx_status_t journal_write(struct ext2* fs, struct block* const* blocks, uint32_t count);
// They are in place.
zx_status_t journal_end(struct ext2* fs);
// Before anything is written: what a sync that failed has left.
zx_status_t journal_finish(struct ext2* fs);
// Mounting, if the superblock says RECOVER. Afterwards nothing in memory is what the disk has.
zx_status_t journal_recover(struct ext2* fs, char why[EXT2_WHY_MAX]);

// After a cut of power.
zx_status_t recover(struct ext2* fs);

// ---- bitmaps ----

// A run of up to `want` blocks, near `goal`.
zx_status_t alloc_blocks(struct ext2* fs, uint32_t goal, uint32_t want, uint32_t* first,
                         uint32_t* count);
zx_status_t alloc_inode(struct ext2* fs, uint32_t parent, bool directory, uint32_t* out);
uint32_t alloc_goal(const struct ext2* fs, uint32_t ino);
zx_status_t free_pending(struct ext2* fs);
// Counts what is free anew.
zx_status_t alloc_recount(struct ext2* fs);

// ---- the map of a file ----

zx_status_t map_find(struct ext2* fs, struct node* n, uint64_t block, uint32_t max, uint32_t* first,
                     uint32_t* count);
zx_status_t map_make(struct ext2* fs, struct node* n, uint64_t block, uint32_t max, uint32_t* first,
                     uint32_t* count, bool* is_new);
// After a cut of power pointers may lie behind the end of the file: before it grows, they go.
zx_status_t map_trim(struct ext2* fs, struct node* n);
// Gives back what lies behind the first `keep` blocks.
zx_status_t map_cut(struct ext2* fs, struct node* n, uint64_t keep);
// Gives back all that the dead node has.
void node_release(struct ext2* fs, struct node* n);

// ---- directories ----

zx_status_t directory_load(struct ext2* fs, struct node* d);
void directory_unload(struct ext2* fs, struct node* d);
struct dname* directory_find(struct node* d, struct ext2_name name); // ghosts too
// Another name; loaded, and the name is not there.
zx_status_t directory_add(struct ext2* fs, struct node* d, struct ext2_name name, uint32_t ino,
                          uint8_t type, struct dname** out);
// Takes the entry out of its block, and the name out of the table. (When it was removed for
// everybody else, directory_touch was called.)
zx_status_t directory_erase(struct ext2* fs, struct node* d, struct dname* e);
// Takes it out of the table alone.
void directory_forget(struct ext2* fs, struct node* d, struct dname* e);
// Writes the name's inode into its entry.
zx_status_t directory_store(struct ext2* fs, struct node* d, const struct dname* e);
zx_status_t directory_set_dotdot(struct ext2* fs, struct node* d, uint32_t ino);
// The first block of a new directory.
zx_status_t directory_init(struct ext2* fs, struct node* d, uint32_t parent);
// Before the first change: no index any more.
void directory_touch(struct ext2* fs, struct node* d);
// Changes a name within its block. False: there is no room.
zx_status_t directory_rename_in_place(struct ext2* fs, struct node* d, struct dname* e,
                                      struct ext2_name name, bool* done);
