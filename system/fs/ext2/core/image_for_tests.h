// An image in memory, the host's own tools on it, and a model of what must be in it. For tests.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ext2/ext2.h>

// ---- the disk ----

struct disk_write {
    uint64_t first; // sector
    uint32_t count; // 0: a flush
    uint8_t* data;
};

struct disk {
    uint8_t* bytes;
    size_t len;
    struct ext2_device device;
    int64_t now;
    uint64_t reads, writes, flushes, largest_read, largest_write; // requests; sectors
    bool outside; // somebody wanted what is not there
    // Recording, if `records`.
    bool records;
    struct disk_write* log;
    size_t log_count, log_capacity;
    // The request after this many more fails (and all after it); negative: none does.
    int64_t fails_after;
};

void disk_init(struct disk* d, uint8_t* bytes, size_t len); // takes the bytes
void disk_destroy(struct disk* d);
void disk_forget_log(struct disk* d);

// ---- the host's tools ----

// A new image by mke2fs with these arguments, of so many KiB.
uint8_t* image_make(const char* arguments, uint64_t kib);
void image_save(const uint8_t* bytes, size_t len);
uint8_t* image_load(size_t len);
const char* image_path(void);
const char* image_folder(void); // for files beside it
int image_run(const char* format, ...) __attribute__((format(printf, 1, 2)));
// e2fsck -fn finds nothing and prints nothing but its passes and the summary.
void image_must_be_sound(const struct disk* d);
// What e2fsck -fp answers; the image is what it made of it.
int image_repair(uint8_t* bytes, size_t len);

// ---- the model ----

struct mnode {
    enum ext2_kind kind;
    uint32_t id, links, mode;
    uint32_t ino;  // of what was adopted
    uint8_t* data; // contents, or target
    size_t size;
    struct mnode* parent; // of a directory
    struct mentry* entries;
    size_t count;
    struct ext2_node* held; // open though it has no name, or just so
    uint64_t touched;       // the last change of the contents (model.changes)
};

struct mentry {
    char name[256];
    struct mnode* node;
};

struct model {
    struct ext2* fs;
    struct mnode* root;
    struct mnode* all[20000]; // those with names
    size_t all_count;
    struct mnode* held[8];
    size_t held_count;
    uint64_t random;
    uint32_t next_id;
    unsigned refused; // moves of directories, as there can be no journal
    size_t size_max;
    // What was done to names: called with the path, before and after.
    void (*changed)(struct model* m, const char* path);
    void (*changed_contents)(struct model* m, struct mnode* n);
};

uint32_t model_random(struct model* m, uint32_t below);
void model_init(struct model* m, struct ext2* fs, uint64_t seed);
void model_destroy(struct model* m);
void model_step(struct model* m); // one random operation on both
void model_move_directory(struct model* m);
void model_let_go(struct model* m); // of everything that is open
void model_path(const struct mnode* directory, const char* name, char* out, size_t capacity);
// The file system says what the model says.
void model_must_be_in(const struct model* m, struct ext2* fs);
// debugfs rdump gives what the model says.
void model_must_be_dumped(const struct model* m);

static inline struct ext2_name name_of(const char* text) {
    return (struct ext2_name){text, strlen(text)};
}
struct ext2_node* root_of(struct ext2* fs); // with a reference

[[noreturn]] void fail_at(const char* file, int line, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
#define FAIL(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define MUST(condition)             \
    do {                            \
        if (!(condition)) {         \
            FAIL("%s", #condition); \
        }                           \
    } while (0)
#define MUST_OK(call)                                 \
    do {                                              \
        zx_status_t must_ = (call);                   \
        if (must_ != ZX_OK) {                         \
            FAIL("%s answers %d", #call, (int)must_); \
        }                                             \
    } while (0)
