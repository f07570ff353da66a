// What the test's thread writes (the table of files, and the fault) it writes while the server has
// nothing to do; counters are atomic.
#include "served.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <io/client.h>
#include <io/server.h>
#include <lib/compiler.h>
#include <zircon/syscalls.h>
#include <zircon/time.h>

// names_add_prefix() of the system layer (<names/namespace.h>), by the name that it has in the
// archive.
long __jx_names_add_prefix(const char* path, zx_handle_t directory);

constexpr uint32_t FILES_MAX = 12;

struct file {
    struct io_node node;
    const char* name;
    const uint8_t* bytes;
    uint64_t len, claimed;
};

constexpr uint32_t OWN_CONNECTIONS = 2; // the namespace's, and `directory`

static zx_handle_t directory; // a client's end
static struct async_loop loop;
static struct io_server server;
static struct io_node root;
static struct file files[FILES_MAX];
static uint32_t file_count;
static _Atomic uint32_t reads, failing_read = UINT32_MAX;
static _Atomic zx_status_t failure;

static struct file* file_of(struct io_node* node) {
    return container_of(node, struct file, node);
}

// ---- operations ----

static void op_release(struct io_server*, struct io_node*) {}

static void op_get_attributes(struct io_node* node, struct jacinth_io_attributes* out) {
    out->link_count = 1;
    out->mode = 0555;
    if (node != &root) {
        out->id = 1 + (uint64_t)(file_of(node) - files);
        out->size = file_of(node)->claimed;
    }
}

// There is no stream to give.
static zx_status_t op_open_file(struct io_node*, jacinth_io_flags_t, zx_handle_t*) {
    return ZX_OK;
}

static zx_status_t op_read_at(struct io_node* node, uint64_t offset, uint32_t count,
                              const uint8_t** data, uint32_t* actual) {
    const struct file* f = file_of(node);
    if (atomic_fetch_add(&reads, 1) >= failing_read) {
        *actual = 0;
        return failure;
    }
    uint64_t left = offset < f->len ? f->len - offset : 0;
    *actual = count < left ? count : (uint32_t)left;
    *data = f->bytes + (*actual != 0 ? offset : 0);
    return ZX_OK;
}

static struct file* find(const char* text, size_t len) {
    for (uint32_t i = 0; i < file_count; i++) {
        if (strlen(files[i].name) == len && memcmp(files[i].name, text, len) == 0) {
            return &files[i];
        }
    }
    return nullptr;
}

static zx_status_t op_lookup(struct io_node*, struct io_name name, struct io_node** out) {
    struct file* f = find(name.text, name.len);
    if (f == nullptr) {
        return ZX_ERR_NOT_FOUND;
    }
    *out = io_node_ref(&f->node);
    return ZX_OK;
}

static struct io_node* op_parent(struct io_node*) {
    return nullptr;
}

static zx_status_t op_read_entries(struct io_node*, uint64_t cookie, struct io_listing* listing) {
    for (uint64_t i = cookie; i < file_count; i++) {
        struct io_name name = {.text = files[i].name, .len = strlen(files[i].name)};
        if (!io_listing_add(listing, i + 1, JACINTH_IO_KIND_FILE, name, i + 1)) {
            break;
        }
    }
    return ZX_OK;
}

static void op_query_usage(struct io_node*, struct jacinth_io_usage* out) {
    out->block_size = 4096;
    out->max_name = IO_SERVER_NAME_MAX;
    out->read_only = true;
}

static const struct io_ops ops = {
    IO_OPS_UNCHANGING,
    .release = op_release,
    .get_attributes = op_get_attributes,
    .open_file = op_open_file,
    .get_vmo = io_no_get_vmo,
    .read_at = op_read_at,
    .lookup = op_lookup,
    .parent = op_parent,
    .read_entries = op_read_entries,
    .query_usage = op_query_usage,
    .open_other = io_no_open_other,
    .connect = io_no_connect,
};

// ---- for the test ----

void served_add(const char* name, const void* bytes, size_t len) {
    if (file_count == FILES_MAX) {
        abort();
    }
    struct file* f = &files[file_count];
    *f = (struct file){.name = name, .bytes = bytes, .len = len, .claimed = len};
    io_node_init(&f->node, JACINTH_IO_KIND_FILE);
    file_count++;
}

void served_add_file(const char* name, const char* path) {
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &s) != 0) {
        fprintf(stderr, "served: no %s\n", path);
        abort();
    }
    uint8_t* bytes = malloc((size_t)s.st_size);
    if (bytes == nullptr || read(fd, bytes, (size_t)s.st_size) != s.st_size) {
        abort();
    }
    (void)close(fd);
    served_add(name, bytes, (size_t)s.st_size);
}

void served_claim(const char* name, uint64_t len) {
    find(name, strlen(name))->claimed = len;
}

void served_fail(uint32_t read, zx_status_t status) {
    failure = status;
    failing_read = read;
    reads = 0;
}

uint32_t served_reads(void) {
    return reads;
}

void served_settle(void) {
    const volatile struct io_server* seen = &server;
    for (int tries = 0; tries < 20'000 && seen->connection_count > OWN_CONNECTIONS; tries++) {
        (void)zx_nanosleep(zx_deadline_after(ZX_MSEC(1)));
    }
}

zx_handle_t served_open(const char* name) {
    struct io_opened opened;
    if (io_open(directory, name, strlen(name), JACINTH_IO_FLAGS_EXECUTE, 0, &opened, nullptr) !=
        ZX_OK) {
        return ZX_HANDLE_INVALID;
    }
    return opened.connection;
}

// ---- the start ----

static zx_handle_t serve_root(void) {
    zx_handle_t ours;
    zx_handle_t theirs;
    if (zx_channel_create(0, &ours, &theirs) != ZX_OK ||
        io_server_serve(&server, theirs, &root, JACINTH_IO_FLAGS_READ | JACINTH_IO_FLAGS_EXECUTE) !=
            ZX_OK) {
        abort();
    }
    return ours;
}

static void* serve(void*) {
    if (async_loop_run(&loop) != ZX_OK) {
        fputs("served: the loop ended\n", stderr);
    }
    return nullptr;
}

__attribute__((constructor(101))) static void start(void) {
    pthread_t thread;
    io_node_init(&root, JACINTH_IO_KIND_DIRECTORY);
    server =
        (struct io_server){.loop = &loop, .ops = &ops, .connections_max = 1024, .watchers_max = 1};
    if (async_loop_init(&loop) != ZX_OK) {
        abort();
    }
    io_server_init(&server);
    directory = serve_root();
    if (__jx_names_add_prefix("/served", serve_root()) != 0 ||
        pthread_create(&thread, nullptr, serve, nullptr) != 0) {
        abort();
    }
    (void)pthread_detach(thread);
}
