// The journal: what another system left in one is replayed as e2fsck replays it, what is not known
// is refused; ours is made when a directory moves and there is room, used again, and left alone
// otherwise; a disk that fails at any request of a move leaves nothing broken; what moves cost.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_for_tests.h"

static zx_status_t try_mount(struct disk* d, bool read_only, char why[EXT2_WHY_MAX],
                             struct ext2** out) {
    struct ext2_options options = {.read_only = read_only};
    return ext2_mount(&d->device, &options, out, why);
}

static struct ext2* mount_disk(struct disk* d) {
    struct ext2* fs = nullptr;
    char why[EXT2_WHY_MAX];
    zx_status_t status = try_mount(d, false, why, &fs);
    if (status != ZX_OK || why[0] != 0) {
        FAIL("mount answers %d: %s", status, why);
    }
    return fs;
}

static struct ext2_node* make(struct ext2* fs, struct ext2_node* d, const char* name) {
    struct ext2_node* n;
    MUST_OK(ext2_create(fs, d, name_of(name), EXT2_DIRECTORY, 0755, (struct ext2_name){}, &n));
    return n;
}

static uint64_t free_blocks(struct ext2* fs) {
    struct ext2_usage usage;
    ext2_query_usage(fs, &usage);
    return usage.free_blocks;
}

static void init_image(struct disk* d, const char* arguments, uint64_t kib) {
    disk_init(d, image_make(arguments, kib), kib * 1024);
}

static void debugfs(struct disk* d, const char* commands) {
    image_save(d->bytes, d->len);
    MUST(image_run("printf '%s' > %s/commands && debugfs -w -f %s/commands %s >%s/log 2>&1",
                   commands, image_folder(), image_folder(), image_path(), image_folder()) == 0);
    free(d->bytes);
    d->bytes = image_load(d->len);
}

static bool says_recovery(const struct disk* d) {
    return (d->bytes[1024 + 96] & 4) != 0;
}
static bool has_journal(const struct disk* d) {
    return (d->bytes[1024 + 92] & 4) != 0;
}

// ---- journals of others ----

// Two transactions: four blocks, of which one begins as a block of the journal does; then one of
// them anew, and one revoked.
static void write_with_debugfs(struct disk* d, uint32_t block_size, uint32_t at) {
    char commands[512];
    MUST(image_run("head -c %u /dev/zero | tr '\\0' a > %s/a && printf '\\300\\073\\071\\230' >> "
                   "%s/a && head -c %u /dev/zero | tr '\\0' b >> %s/a && head -c %u /dev/zero | tr "
                   "'\\0' c > %s/c",
                   3 * block_size, image_folder(), image_folder(), block_size - 4, image_folder(),
                   block_size, image_folder()) == 0);
    snprintf(commands, sizeof(commands), "jo\njw -b %u-%u %s/a\njw -r %u -b %u %s/c\njc\n", at,
             at + 3, image_folder(), at + 1, at + 2, image_folder());
    debugfs(d, commands);
    MUST(says_recovery(d));
}

static void journal_of_others(uint32_t block_size) {
    struct disk d;
    char arguments[64];
    uint32_t blocks = 9000;
    uint32_t at = 8000;
    snprintf(arguments, sizeof(arguments), "-j -J size=%u -b %u", 1024 * block_size >> 20,
             block_size);
    init_image(&d, arguments, (uint64_t)blocks * block_size / 1024);
    write_with_debugfs(&d, block_size, at);
    uint8_t* theirs = malloc(d.len);
    memcpy(theirs, d.bytes, d.len);
    MUST(image_repair(theirs, d.len) <= 1);

    // Who may not write does not replay.
    struct ext2* fs;
    char why[EXT2_WHY_MAX];
    MUST(try_mount(&d, true, why, &fs) == ZX_ERR_NOT_SUPPORTED);
    MUST(strstr(why, "needs_recovery") != nullptr);

    fs = mount_disk(&d);
    MUST(!says_recovery(&d));
    const uint8_t* ours = d.bytes + (size_t)at * block_size;
    MUST(memcmp(ours, theirs + (size_t)at * block_size, (size_t)4 * block_size) == 0);
    MUST(ours[0] == 'a' && ours[block_size] != 'a' && ours[2 * block_size] == 'c');
    MUST(ours[3 * block_size] == 0xc0 && ours[4 * block_size - 1] == 'b');

    // It is used from now on.
    struct ext2_node* root = root_of(fs);
    uint64_t before = free_blocks(fs);
    ext2_unref(fs, make(fs, root, "a"));
    ext2_unref(fs, make(fs, root, "b"));
    MUST_OK(ext2_sync(fs));
    struct ext2_node* a;
    MUST_OK(ext2_lookup(fs, root, name_of("a"), &a));
    MUST_OK(ext2_rename(fs, root, name_of("b"), a, name_of("b")));
    MUST_OK(ext2_sync(fs));
    MUST(free_blocks(fs) == before - 2);
    ext2_unref(fs, a);
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    free(theirs);
    disk_destroy(&d);
}

static void test_journals_of_others(void**) {
    journal_of_others(1024);
    journal_of_others(4096);
}

// Of a journal of 1024 blocks of 1 KiB: the copy of its pointers that the superblock has.
static uint8_t* journal_block(struct disk* d, uint32_t at) {
    const uint32_t* pointers = (const uint32_t*)(d->bytes + 1024 + 268);
    const uint32_t* below = nullptr;
    if (at >= 12 + 256) {
        below = (const uint32_t*)(d->bytes + (size_t)pointers[13] * 1024);
        below = (const uint32_t*)(d->bytes + (size_t)below[(at - 268) / 256] * 1024);
        at = (at - 268) % 256;
    } else if (at >= 12) {
        below = (const uint32_t*)(d->bytes + (size_t)pointers[12] * 1024);
        at -= 12;
    }
    return d->bytes + (size_t)(below != nullptr ? below[at] : pointers[at]) * 1024;
}

// What lies behind the journal's end goes on at its beginning.
static void test_a_journal_that_goes_round(void**) {
    constexpr uint32_t LEN = 1023;
    constexpr uint32_t SHIFT = 600;
    struct disk d;
    init_image(&d, "-j -J size=1 -b 1024", 6000);
    MUST(image_run("head -c 1024000 /dev/urandom > %s/a", image_folder()) == 0);
    char commands[512];
    snprintf(commands, sizeof(commands), "jo\njw -b 3000-3299 %s/a\njw -b 3200-3499 %s/a\njc\n",
             image_folder(), image_folder());
    debugfs(&d, commands);
    MUST(says_recovery(&d));
    uint8_t* all = malloc((size_t)LEN * 1024);
    for (uint32_t i = 0; i < LEN; i++) {
        memcpy(all + (size_t)i * 1024, journal_block(&d, 1 + i), 1024);
    }
    for (uint32_t i = 0; i < LEN; i++) {
        memcpy(journal_block(&d, 1 + (i + SHIFT) % LEN), all + (size_t)i * 1024, 1024);
    }
    uint8_t* start = journal_block(&d, 0) + 28;
    MUST(start[3] == 1);
    start[2] = (1 + SHIFT) >> 8;
    start[3] = (1 + SHIFT) & 0xff;
    free(all);

    uint8_t* theirs = malloc(d.len);
    memcpy(theirs, d.bytes, d.len);
    MUST(image_repair(theirs, d.len) <= 1);
    struct ext2* fs = mount_disk(&d);
    MUST(memcmp(d.bytes + 3000 * 1024, theirs + 3000 * 1024, 600 * 1024) == 0);
    MUST(memcmp(d.bytes + 3000 * 1024, d.bytes + 3200 * 1024, 200 * 1024) == 0);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    free(theirs);
    disk_destroy(&d);
}

static void must_be_refused(struct disk* d) {
    struct ext2* fs;
    char why[EXT2_WHY_MAX];
    uint8_t* before = malloc(d->len);
    memcpy(before, d->bytes, d->len);
    MUST(try_mount(d, false, why, &fs) == ZX_ERR_NOT_SUPPORTED);
    MUST(strstr(why, "needs_recovery") != nullptr);
    MUST(memcmp(before, d->bytes, d->len) == 0);
    free(before);
}

static void test_journals_that_are_not_known(void**) {
    struct disk d;
    init_image(&d, "-j -J size=1 -b 1024", 6000);
    write_with_debugfs(&d, 1024, 3000);
    uint8_t* sound = malloc(d.len);
    memcpy(sound, d.bytes, d.len);
    debugfs(&d, "ssv journal_inum 12\n"); // no hidden file
    must_be_refused(&d);
    memcpy(d.bytes, sound, d.len);
    debugfs(&d, "feature -has_journal\n");
    must_be_refused(&d);
    memcpy(d.bytes, sound, d.len);
    debugfs(&d, "sif <8> size 1024\n");
    must_be_refused(&d);
    free(sound);
    disk_destroy(&d);
    init_image(&d, "-j -J size=1 -b 1024", 6000);
    debugfs(&d, "jo -c -v 3\njw -b 3000 /dev/zero\njc\n"); // with checksums
    MUST(says_recovery(&d));
    must_be_refused(&d);
    disk_destroy(&d);
}

static zx_status_t move_a(struct ext2* fs, struct ext2_node* root) {
    struct ext2_node* to = make(fs, root, "to");
    ext2_unref(fs, make(fs, root, "a"));
    MUST_OK(ext2_sync(fs));
    zx_status_t status = ext2_rename(fs, root, name_of("a"), to, name_of("a"));
    MUST_OK(ext2_unlink(fs, status == ZX_OK ? to : root, name_of("a")));
    ext2_unref(fs, to);
    MUST_OK(ext2_unlink(fs, root, name_of("to")));
    MUST_OK(ext2_sync(fs));
    return status;
}

// The superblock names none, but there is one: it is left as it is. After a cut of power, when one
// was being made, it is cleared.
static void test_a_journal_without_a_name(void**) {
    struct disk d;
    init_image(&d, "-j -J size=1 -b 1024", 6000);
    write_with_debugfs(&d, 1024, 3000);
    debugfs(&d, "feature -has_journal -needs_recovery\nssv journal_inum 0\n");
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    uint64_t before = free_blocks(fs);
    MUST(move_a(fs, root) == ZX_ERR_NOT_SUPPORTED);
    MUST(free_blocks(fs) == before && !has_journal(&d));
    ext2_unref(fs, root);
    ext2_abandon(fs);
    fs = mount_disk(&d);
    root = root_of(fs);
    MUST(free_blocks(fs) > before + 1024);
    MUST_OK(move_a(fs, root));
    MUST(free_blocks(fs) == before && has_journal(&d));
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    disk_destroy(&d);
}

// Without a move nobody touches its blocks; it is as large as before when all else is full.
static void test_an_empty_journal_is_left_alone(void**) {
    struct disk d;
    init_image(&d, "-j -J size=1 -b 1024", 4096);
    MUST(image_run("debugfs -R 'dump <8> %s/journal' %s >%s/log 2>&1", image_folder(), image_path(),
                   image_folder()) == 0);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* f;
    MUST_OK(ext2_create(fs, root, name_of("f"), EXT2_FILE, 0644, (struct ext2_name){}, &f));
    static uint8_t data[65536];
    memset(data, 0x5a, sizeof(data));
    zx_status_t status = ZX_OK;
    for (uint64_t at = 0; status == ZX_OK; at += sizeof(data)) {
        status = ext2_write(fs, f, at, data, sizeof(data));
    }
    MUST(status == ZX_ERR_NO_SPACE);
    ext2_unref(fs, f);
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    MUST(image_run("debugfs -R 'dump <8> %s/after' %s >%s/log 2>&1 && cmp %s/after %s/journal",
                   image_folder(), image_path(), image_folder(), image_folder(),
                   image_folder()) == 0);
    disk_destroy(&d);
}

// ---- ours ----

// Moves root/a to root/b/a, which another mount then sees.
static zx_status_t move_one(struct disk* d, uint64_t set_aside) {
    struct ext2* fs = mount_disk(d);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* b = make(fs, root, "b");
    struct ext2_node* n;
    ext2_unref(fs, make(fs, root, "a"));
    ext2_set_aside(fs, set_aside);
    MUST_OK(ext2_sync(fs));
    zx_status_t status = ext2_rename(fs, root, name_of("a"), b, name_of("a"));
    bool moved = status == ZX_OK;
    MUST(ext2_lookup(fs, root, name_of("a"), &n) == (moved ? ZX_ERR_NOT_FOUND : ZX_OK));
    if (!moved) { // within its directory it needs nothing
        ext2_unref(fs, n);
        MUST_OK(ext2_rename(fs, root, name_of("a"), root, name_of("c")));
        MUST_OK(ext2_rename(fs, root, name_of("c"), root, name_of("a")));
        MUST(!has_journal(d));
    }
    ext2_unref(fs, b);
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(d);
    fs = mount_disk(d);
    root = root_of(fs);
    MUST_OK(ext2_lookup(fs, root, name_of("b"), &b));
    MUST_OK(ext2_lookup(fs, moved ? b : root, name_of("a"), &n));
    MUST(ext2_lookup(fs, moved ? root : b, name_of("a"), &n) == ZX_ERR_NOT_FOUND);
    ext2_abandon(fs);
    return status;
}

static void test_a_journal_is_made_where_there_is_room(void**) {
    static const struct {
        const char* arguments;
        uint64_t kib, set_aside;
        zx_status_t status;
    } cases[] = {
        {"-b 1024", 4096, 0, ZX_OK},
        {"-b 2048", 8192, 0, ZX_OK},
        {"-b 4096", 16384, 0, ZX_OK},
        {"-b 1024 -I 128 -g 1024", 4096, 0, ZX_OK}, // in pieces
        {"-b 1024", 2100, 0, ZX_ERR_NOT_SUPPORTED},
        {"-b 4096", 8192, 0, ZX_ERR_NOT_SUPPORTED},
        {"-b 1024", 4096, 3000, ZX_ERR_NOT_SUPPORTED},
        {"-b 1024 -r 0", 4096, 0, ZX_ERR_NOT_SUPPORTED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct disk d;
        init_image(&d, cases[i].arguments, cases[i].kib);
        zx_status_t status = move_one(&d, cases[i].set_aside);
        if (status != cases[i].status || has_journal(&d) != (status == ZX_OK)) {
            FAIL("%s, %zu KiB: %d", cases[i].arguments, (size_t)cases[i].kib, status);
        }
        disk_destroy(&d);
    }
}

// A hundred moves are one transaction: a few flushes.
static void test_many_moves_cost_one_transaction(void**) {
    constexpr unsigned COUNT = 100;
    struct disk d;
    init_image(&d, "-b 1024", 8192);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* to = make(fs, root, "to");
    char name[16];
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "d%u", i);
        ext2_unref(fs, make(fs, root, name));
    }
    ext2_unref(fs, make(fs, root, "first"));
    MUST_OK(ext2_sync(fs));
    MUST_OK(ext2_rename(fs, root, name_of("first"), to, name_of("first")));
    MUST_OK(ext2_sync(fs));
    uint64_t flushes = d.flushes;
    uint64_t writes = d.writes;
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "d%u", i);
        MUST_OK(ext2_rename(fs, root, name_of(name), to, name_of(name)));
    }
    MUST(d.flushes == flushes && d.writes == writes);
    MUST_OK(ext2_sync(fs));
    print_message("%u moves: %u flushes, %u writes\n", COUNT, (unsigned)(d.flushes - flushes),
                  (unsigned)(d.writes - writes));
    MUST(d.flushes - flushes <= 4);
    ext2_unref(fs, to);
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    disk_destroy(&d);
}

// More in one batch than a journal takes: it is ended before. `apart`: each moved inode lies in a
// block of its own.
static void many_moves(unsigned count, size_t name_len, bool apart) {
    struct disk d;
    init_image(&d, "-b 1024 -N 4096", 16384);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* to = make(fs, root, "to");
    struct ext2_node* others = make(fs, root, "others");
    struct ext2_node* file;
    MUST_OK(ext2_create(fs, root, name_of("file"), EXT2_FILE, 0644, (struct ext2_name){}, &file));
    ext2_unref(fs, file);
    char name[256];
    memset(name, 'x', sizeof(name));
    char* end = name + name_len - 4;
    for (unsigned i = 0; i < count; i++) {
        snprintf(end, 5, "%04u", i);
        ext2_unref(fs, make(fs, root, name));
        for (unsigned k = 0; apart && k < 3; k++) {
            snprintf(end, 6, "%04u%u", i, k);
            ext2_unref(fs, make(fs, others, end));
        }
    }
    // Room where they go: no block of it is new.
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < count; i++) {
            struct ext2_node* n;
            snprintf(end, 5, "%04u", i);
            if (pass == 0) {
                MUST_OK(ext2_lookup(fs, root, name_of("file"), &n));
                MUST_OK(ext2_link(fs, to, name_of(name), n));
                ext2_unref(fs, n);
            } else {
                MUST_OK(ext2_unlink(fs, to, name_of(name)));
            }
        }
        MUST_OK(ext2_sync(fs));
    }
    for (unsigned i = 0; i < count; i++) {
        snprintf(end, 5, "%04u", i);
        MUST_OK(ext2_rename(fs, root, name_of(name), to, name_of(name)));
    }
    ext2_unref(fs, to);
    ext2_unref(fs, others);
    ext2_unref(fs, root);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    disk_destroy(&d);
}

static void test_batches_fit(void**) {
    many_moves(1500, 180, false);
    many_moves(600, 250, true);
}

// A chain of directories in one batch: a flush for each would be many. The most that one operation
// has to wait for is bounded without a journal, too.
static void deep_chain(const char* arguments, uint64_t in_all, uint64_t at_once) {
    constexpr unsigned DEPTH = 1000;
    struct disk d;
    init_image(&d, arguments, 8192);
    struct ext2* fs = mount_disk(&d);
    struct ext2_node* chain[DEPTH + 1];
    chain[0] = root_of(fs);
    for (unsigned pass = 0; pass < 2; pass++) {
        uint64_t begin = d.flushes;
        for (unsigned i = 0; i < DEPTH; i++) {
            uint64_t before = d.flushes;
            if (pass == 0) {
                chain[i + 1] = make(fs, chain[i], "d");
            } else {
                ext2_unref(fs, chain[DEPTH - i]);
                MUST_OK(ext2_unlink(fs, chain[DEPTH - i - 1], name_of("d")));
            }
            if (d.flushes - before > at_once) {
                FAIL("%s: %u flushes at once, pass %u, %u", arguments,
                     (unsigned)(d.flushes - before), pass, i);
            }
        }
        MUST_OK(ext2_sync(fs));
        if (d.flushes - begin > in_all) {
            FAIL("%s: %u flushes", arguments, (unsigned)(d.flushes - begin));
        }
    }
    ext2_unref(fs, chain[0]);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(&d);
    disk_destroy(&d);
}

static void test_deep_chains(void**) {
    deep_chain("-b 1024", 1500, 22);
    deep_chain("-b 1024 -j -J size=1", 25, 5);
}

// ---- disks that fail ----

static void check_after_failure(struct disk* d, struct model* m, struct ext2* fs, bool goes_on) {
    if (goes_on) {
        for (unsigned i = 0; i < 10; i++) {
            model_step(m); // what needs the disk first has it again
        }
        MUST_OK(ext2_sync(fs));
        model_must_be_in(m, fs);
        model_let_go(m);
        MUST_OK(ext2_unmount(fs));
        image_must_be_sound(d);
        fs = mount_disk(d);
        model_must_be_in(m, fs);
        ext2_abandon(fs);
        return;
    }
    // The machine ends with the disk.
    model_let_go(m);
    ext2_abandon(fs);
    fs = mount_disk(d);
    MUST_OK(ext2_unmount(fs));
    MUST(image_repair(d->bytes, d->len) <= 1);
}

static void test_failures_while_directories_move(void**) {
    struct disk d;
    init_image(&d, "-j -J size=1 -b 1024 -N 256", 3072);
    uint8_t* before = malloc(d.len);
    memcpy(before, d.bytes, d.len);
    bool failed = true;
    unsigned at = 1;
    for (; failed && at < 400; at++) {
        static struct model m;
        memcpy(d.bytes, before, d.len);
        struct ext2* fs = mount_disk(&d);
        model_init(&m, fs, 99);
        m.size_max = 5000;
        for (unsigned i = 0; i < 40; i++) {
            model_step(&m);
        }
        MUST_OK(ext2_sync(fs));
        for (unsigned i = 0; i < 10; i++) {
            model_step(&m);
            model_move_directory(&m);
        }
        MUST(m.refused == 0);
        d.fails_after = at;
        failed = ext2_sync(fs) != ZX_OK;
        d.fails_after = -1;
        check_after_failure(&d, &m, fs, at % 2 == 0);
        model_destroy(&m);
    }
    MUST(!failed && at > 15);
    free(before);
    disk_destroy(&d);
}

// The disk fails at the `at`th request of a move that makes the journal. Whether it did.
static bool fail_while_made(struct disk* d, unsigned at) {
    struct ext2* fs = mount_disk(d);
    struct ext2_node* root = root_of(fs);
    struct ext2_node* to = make(fs, root, "to");
    ext2_unref(fs, make(fs, root, "a"));
    MUST_OK(ext2_sync(fs));
    d->fails_after = at;
    zx_status_t moved = ext2_rename(fs, root, name_of("a"), to, name_of("a"));
    zx_status_t synced = ext2_sync(fs);
    d->fails_after = -1;
    bool failed = moved != ZX_OK || synced != ZX_OK;
    if (at % 2 == 0) {
        // The disk is well again. Perhaps there is no journal any more in this mount.
        zx_status_t again =
            moved == ZX_OK ? ZX_OK : ext2_rename(fs, root, name_of("a"), to, name_of("a"));
        MUST(again == ZX_OK || again == ZX_ERR_NOT_SUPPORTED);
        ext2_unref(fs, make(fs, to, "b"));
        MUST_OK(ext2_unlink(fs, again == ZX_OK ? to : root, name_of("a")));
        ext2_unref(fs, to);
        ext2_unref(fs, root);
        MUST_OK(ext2_unmount(fs));
        if (!has_journal(d)) { // the next mount clears what was made of it
            MUST_OK(ext2_unmount(mount_disk(d)));
        }
        image_must_be_sound(d);
        return failed;
    }
    ext2_unref(fs, to);
    ext2_unref(fs, root);
    ext2_abandon(fs); // the machine ends with the disk
    fs = mount_disk(d);
    MUST_OK(ext2_unmount(fs));
    image_must_be_sound(d);
    return failed;
}

static void test_failures_while_a_journal_is_made(void**) {
    struct disk d;
    init_image(&d, "-b 1024 -N 64", 3072);
    uint8_t* before = malloc(d.len);
    memcpy(before, d.bytes, d.len);
    unsigned at = 0;
    while (fail_while_made(&d, at)) {
        memcpy(d.bytes, before, d.len);
        at++;
    }
    MUST(has_journal(&d) && at > 15);
    free(before);
    disk_destroy(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journals_of_others),
        cmocka_unit_test(test_a_journal_that_goes_round),
        cmocka_unit_test(test_journals_that_are_not_known),
        cmocka_unit_test(test_a_journal_without_a_name),
        cmocka_unit_test(test_an_empty_journal_is_left_alone),
        cmocka_unit_test(test_a_journal_is_made_where_there_is_room),
        cmocka_unit_test(test_many_moves_cost_one_transaction),
        cmocka_unit_test(test_batches_fit),
        cmocka_unit_test(test_deep_chains),
        cmocka_unit_test(test_failures_while_directories_move),
        cmocka_unit_test(test_failures_while_a_journal_is_made),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
