// Images that lie. The input says which bytes of a sound image are changed, and what is done with
// it then: mounting, looking at everything, changing names and contents, recovery if it says so.
// One of two images has a journal with a transaction in it, which is replayed. No request may leave
// the image, nothing may crash or go on for ever; what the operations answer is free.
#include <stdlib.h>
#include <string.h>

#include <ext2/ext2.h>

constexpr size_t LEN = 2400 * 1024; // there is room for a journal
constexpr size_t METADATA = 192 * 1024;
constexpr unsigned VISITS_MAX = 300;
constexpr unsigned DEPTH_MAX = 12;

[[noreturn]] void assert_failed(const char*, const char*, int) {
    abort();
}

// Each with the blocks that were changed since it was `base`.
static struct {
    uint8_t base[LEN], image[LEN];
    bool touched[LEN / 1024];
} clean, pending;
static uint8_t* image = clean.image;
static bool* touched = clean.touched;
static uint32_t journal[16]; // its first blocks
static unsigned requests;
static unsigned flushes_left; // then nothing reaches the disk any more; 0: all does
static bool is_cut;

static zx_status_t check(uint64_t first, uint32_t count) {
    if (count == 0 || first > LEN / EXT2_SECTOR || count > LEN / EXT2_SECTOR - first) {
        abort();
    }
    return ++requests < 200000 ? ZX_OK : ZX_ERR_IO;
}

static zx_status_t read_blocks(void*, uint64_t first, uint32_t count, void* buffer) {
    zx_status_t status = check(first, count);
    memcpy(buffer, image + first * EXT2_SECTOR, (size_t)count * EXT2_SECTOR);
    return status;
}

static zx_status_t write_blocks(void*, uint64_t first, uint32_t count, const void* buffer) {
    zx_status_t status = check(first, count);
    if (!is_cut) {
        memcpy(image + first * EXT2_SECTOR, buffer, (size_t)count * EXT2_SECTOR);
        memset(touched + first / 2, true, (first % 2 + count + 1) / 2);
    }
    return status;
}

static zx_status_t flush(void*) {
    is_cut |= flushes_left != 0 && --flushes_left == 0;
    return ZX_OK;
}

static int64_t now(void*) {
    return 1700000000000000000;
}

static const struct ext2_device device = {.sector_count = LEN / EXT2_SECTOR,
                                          .read_blocks = read_blocks,
                                          .write_blocks = write_blocks,
                                          .flush = flush,
                                          .now = now};

static void must(bool condition) {
    if (!condition) {
        abort();
    }
}

static struct ext2_name name_of(const char* text) {
    return (struct ext2_name){text, strlen(text)};
}

// ---- the sound image ----

static struct ext2_node* make(struct ext2* fs, struct ext2_node* d, const char* name,
                              enum ext2_kind kind) {
    static char target[200];
    struct ext2_node* n;
    memset(target, 'x', sizeof(target));
    must(ext2_create(fs, d, name_of(name), kind, 0755,
                     (struct ext2_name){target, name[0] == 's' ? sizeof(target) : 5}, &n) == ZX_OK);
    return n;
}

static struct ext2* mount_base(void) {
    struct ext2* fs;
    struct ext2_options options = {};
    must(ext2_mount(&device, &options, &fs, nullptr) == ZX_OK);
    return fs;
}

static void make_base(void) {
    struct ext2* fs;
    struct ext2_node *root, *d, *f;
    struct ext2_format format = {.block_size = 1024};
    static uint8_t data[20000];
    must(ext2_format(&device, &format) == ZX_OK);
    fs = mount_base();
    must(ext2_root(fs, &root) == ZX_OK);
    d = make(fs, root, "d", EXT2_DIRECTORY);
    f = make(fs, d, "f", EXT2_FILE);
    must(ext2_write(fs, f, 0, data, sizeof(data)) == ZX_OK);
    must(ext2_write(fs, f, 400000, data, 3000) == ZX_OK);   // double indirect
    must(ext2_write(fs, f, 80000000, data, 2000) == ZX_OK); // triple indirect
    must(ext2_link(fs, root, name_of("g"), f) == ZX_OK);
    ext2_unref(fs, f);
    for (char name[] = "e0"; name[1] <= '5'; name[1]++) {
        ext2_unref(fs, make(fs, d, name, EXT2_FILE));
    }
    ext2_unref(fs, make(fs, root, "l", EXT2_SYMLINK));
    ext2_unref(fs, make(fs, root, "s", EXT2_SYMLINK));
    ext2_unref(fs, make(fs, d, "c", EXT2_DIRECTORY));
    ext2_unref(fs, d);
    ext2_unref(fs, root);
    must(ext2_unmount(fs) == ZX_OK);
}

// The directory `m` is in `d`, or on its way from the root to it.
static void move_in_base(bool cut) {
    struct ext2* fs = mount_base();
    struct ext2_node *root, *d;
    must(ext2_root(fs, &root) == ZX_OK);
    must(ext2_lookup(fs, root, name_of("d"), &d) == ZX_OK);
    ext2_unref(fs, make(fs, root, "m", EXT2_DIRECTORY));
    must(ext2_sync(fs) == ZX_OK);
    must(ext2_rename(fs, root, name_of("m"), d, name_of(cut ? "n" : "m")) == ZX_OK);
    flushes_left = cut ? 2 : 0;
    must(ext2_sync(fs) == ZX_OK);
    ext2_unref(fs, d);
    ext2_unref(fs, root);
    must(ext2_unmount(fs) == ZX_OK);
    is_cut = false;
}

static uint8_t* journal_block(uint32_t at, uint8_t type, uint8_t sequence) {
    uint8_t* block = image + journal[at] * 1024;
    memcpy(block, (uint8_t[]){0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, type, 0, 0, 0, sequence}, 12);
    return block;
}

// Behind the transaction that is there (descriptor, blocks, commit) another one, which revokes.
static void add_revoke(void) {
    const uint8_t* block;
    uint32_t at = 1;
    do {
        must(++at < 12);
        block = image + journal[at] * 1024;
    } while (block[0] != 0xc0 || block[1] != 0x3b || block[7] != 2);
    uint8_t sequence = block[11];
    uint8_t* revoke = journal_block(at + 1, 5, (uint8_t)(sequence + 1));
    revoke[15] = 24; // two of them
    revoke[19] = 150;
    revoke[23] = 151;
    (void)journal_block(at + 2, 2, (uint8_t)(sequence + 1));
}

static void make_images(void) {
    static const uint8_t head[] = {0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 4};
    make_base();
    move_in_base(false);
    memcpy(clean.base, image, LEN);
    move_in_base(true);
    uint32_t first = 0;
    while (memcmp(image + first * 1024, head, sizeof(head)) != 0) {
        first++;
    }
    for (uint32_t i = 0; i < 16; i++) {
        journal[i] = first + i; // from the 13th on others' and its pointers
    }
    add_revoke();
    memcpy(pending.base, image, LEN);
    memcpy(pending.image, image, LEN);
}

static void begin_with(bool is_pending) {
    const uint8_t* base = is_pending ? pending.base : clean.base;
    image = is_pending ? pending.image : clean.image;
    touched = is_pending ? pending.touched : clean.touched;
    for (size_t i = 0; i < LEN / 1024; i++) {
        if (touched[i]) {
            memcpy(image + i * 1024, base + i * 1024, 1024);
        }
        touched[i] = false;
    }
}

// ---- using what is there ----

struct names {
    char text[64][256];
    size_t len[64];
    unsigned count;
};

static bool collect(void* ctx, struct ext2_name name, uint32_t, enum ext2_kind, uint64_t) {
    struct names* n = ctx;
    memcpy(n->text[n->count], name.text, name.len);
    n->len[n->count++] = name.len;
    return n->count < 64;
}

static unsigned visits;

static void look(struct ext2* fs, struct ext2_node* d, unsigned depth, uint8_t what) {
    struct names* names = calloc(1, sizeof(*names));
    static uint8_t buffer[16384];
    size_t len;
    (void)ext2_list(fs, d, 0, collect, names);
    for (unsigned i = 0; i < names->count && visits < VISITS_MAX; i++) {
        struct ext2_node* n;
        struct ext2_name name = {names->text[i], names->len[i]};
        struct ext2_attributes attributes;
        visits++;
        if (ext2_lookup(fs, d, name, &n) != ZX_OK) {
            continue;
        }
        ext2_get_attributes(n, &attributes);
        if (n->kind == EXT2_DIRECTORY && depth < DEPTH_MAX) {
            look(fs, n, depth + 1, what);
        } else if (n->kind == EXT2_SYMLINK) {
            (void)ext2_read_link(fs, n, (char*)buffer, &len);
        } else {
            static const uint64_t places[] = {0, 12000, 300000, 80000000};
            for (unsigned k = 0; k < 4; k++) {
                (void)ext2_read(fs, n, places[k], buffer, sizeof(buffer), &len);
                if ((what & 1) != 0) {
                    (void)ext2_write(fs, n, places[(what >> 1) & 3], buffer, 3000);
                }
            }
            if ((what & 8) != 0) {
                (void)ext2_resize(fs, n, (what & 16) != 0 ? 0 : 13000);
            }
        }
        if ((what & 32) != 0) {
            (void)ext2_unlink(fs, d, name);
        } else if ((what & 64) != 0) {
            struct ext2_node* to = (what & 16) != 0 ? ext2_parent(d) : nullptr;
            (void)ext2_rename(fs, d, name, to != nullptr ? to : d,
                              (struct ext2_name){"renamed", 4 + i % 4});
            if (to != nullptr) {
                ext2_unref(fs, to);
            }
        }
        ext2_unref(fs, n);
    }
    if ((what & 128) != 0) {
        struct ext2_node* n;
        if (ext2_create(fs, d, (struct ext2_name){"fresh", 5},
                        (what & 1) != 0 ? EXT2_DIRECTORY : EXT2_FILE, 0644, (struct ext2_name){},
                        &n) == ZX_OK) {
            ext2_unref(fs, n);
        }
    }
    free(names);
}

static void use(const uint8_t* program, size_t len) {
    struct ext2* fs;
    struct ext2_node* root;
    char why[EXT2_WHY_MAX];
    struct ext2_options options = {.read_only = len != 0 && program[0] == 1, .cache_blocks = 32};
    if (ext2_mount(&device, &options, &fs, why) != ZX_OK) {
        return;
    }
    must(ext2_root(fs, &root) == ZX_OK);
    for (size_t i = 0; i < len && i < 6; i++) {
        visits = 0;
        look(fs, root, 0, program[i]);
        if (program[i] % 3 == 0) {
            (void)ext2_sync(fs);
        }
    }
    ext2_unref(fs, root);
    (void)ext2_unmount(fs);
}

static size_t place_of(uint32_t n) {
    return n >> 23 == 0 ? 1024 + n % (METADATA - 1028) : journal[n / 1024 % 16] * 1024 + n % 1020;
}

// A count of changes, and which image; each a place (of the blocks that hold metadata, or of the
// journal) and a value; then the program.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t len) {
    static bool is_made;
    if (!is_made) {
        is_made = true;
        make_images();
    }
    begin_with(len != 0 && data[0] >= 0x80);
    requests = 0;
    size_t changes = len != 0 ? data[0] % 32u : 0;
    size_t at = 1;
    for (; changes != 0 && at + 7 <= len; changes--, at += 7) {
        size_t place = place_of((uint32_t)(data[at] | data[at + 1] << 8 | data[at + 2] << 16));
        memcpy(image + place, data + at + 3, data[at] % 4 + 1u);
        touched[place / 1024] = touched[(place + 3) / 1024] = true;
    }
    use(data + at, at < len ? len - at : 0);
    return 0;
}
