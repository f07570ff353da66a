// Rows 29 and 30: a file of 64 MiB read through its stream, the first time from the disk, then from
// memory; and the lower half of row 29, the same from the disk through the block client as far as
// the pages of a VMO. Per 4 KiB. What the CPU waits for the disk does not count: the figure is what
// all processes and the kernel execute, by the time that the CPU was not idle.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <block/client.h>
#include <io/client.h>
#include <jacinth/startup.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/resource.h>

constexpr uint64_t TOTAL = 64 << 20, BUFFER = 1 << 20, PAGE = 4096;

static struct block_client client;
static zx_handle_t memory;
static uint16_t id;

static void check(zx_status_t status, const char* what) {
    if (status != ZX_OK) {
        printf("bench_disk: %s: %s\n", what, zx_status_get_string(status));
        exit(1);
    }
}

static zx_handle_t directory(const char* path) {
    for (uint32_t i = 0; zx_startup_name(i) != nullptr; i++) {
        if (strcmp(zx_startup_name(i), path) == 0) {
            return zx_take_startup_handle(PA_HND(PA_NS_DIR, i));
        }
    }
    return ZX_HANDLE_INVALID;
}

static void open_disk(void) {
    zx_handle_t ours, theirs;
    check(zx_channel_create(0, &ours, &theirs), "a channel");
    check(io_connect(directory("/svc"), "disk0", 5, theirs), "/svc/disk0");
    check(block_client_open(&client, ours), "disk0");
    check(zx_vmo_create(BUFFER, 0, &memory), "memory");
    check(block_client_attach(&client, memory, &id), "memory for the disk");
}

// There is one CPU.
static int64_t busy_time(void) {
    static zx_handle_t info;
    zx_info_cpu_stats_t cpu;
    if (info == ZX_HANDLE_INVALID) {
        info = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, ZX_RSRC_SYSTEM_INFO_BASE));
    }
    check(zx_object_get_info(info, ZX_INFO_CPU_STATS, &cpu, sizeof(cpu), nullptr, nullptr),
          "the CPU's idle time");
    return zx_clock_get_monotonic() - cpu.idle_time;
}

static void report(const char* key, int64_t took);

static void read_file(const char* key, zx_handle_t stream) {
    static uint8_t buffer[128 << 10];
    zx_iovec_t vector = {buffer, sizeof(buffer)};
    uint64_t total = 0;
    int64_t begin = busy_time();
    for (size_t got = 1; got > 0; total += got) {
        check(zx_stream_readv_at(stream, 0, total, &vector, 1, &got), "reading the file");
    }
    report(key, busy_time() - begin);
    check(total == TOTAL ? ZX_OK : ZX_ERR_IO, "the file's size");
}

static void read_file_twice(void) {
    static constexpr char name[] = "large";
    struct io_opened file;
    check(io_open(directory("/data"), name, sizeof(name) - 1, JACINTH_IO_FLAGS_READ, 0, &file,
                  nullptr),
          "/data/large");
    read_file("29", file.stream);
    read_file("30", file.stream);
    io_opened_close(&file);
}

static void report(const char* key, int64_t took) {
    char line[96];
    int len = snprintf(line, sizeof(line), "\x1e[bench] %s %lld\n", key,
                       (long long)took / (long long)(TOTAL / PAGE));
    (void)zx_debug_write(line, (size_t)len);
}

static void row(const char* key, uint64_t bytes_at_a_time) {
    uint64_t blocks = bytes_at_a_time / client.info.block_size, at = 0;
    int64_t begin = busy_time();
    for (; at < TOTAL / client.info.block_size; at += blocks) {
        check(block_run(&client, BLOCK_READ, id, 0, at, blocks), "reading");
    }
    report(key, busy_time() - begin);
}

// Pages that go elsewhere afterwards (here, nowhere).
static void row_unpinned(const char* key) {
    uint64_t blocks = BUFFER / client.info.block_size, at = 0;
    uint16_t unpinned;
    check(block_client_attach_as(&client, memory, JACINTH_BLOCK_VMO_OPTIONS_UNPINNED, &unpinned),
          "attaching");
    int64_t begin = busy_time();
    for (; at < TOTAL / client.info.block_size; at += blocks) {
        check(block_run(&client, BLOCK_READ, unpinned, 0, at, blocks), "reading");
        check(zx_vmo_op_range(memory, ZX_VMO_OP_DECOMMIT, 0, BUFFER, nullptr, 0), "letting go");
    }
    report(key, busy_time() - begin);
}

int main(void) {
    read_file_twice();
    open_disk();
    row("29a", BUFFER);
    row("29b", 64 << 10);
    check(block_client_detach(&client, id), "detaching");
    row_unpinned("29c");
    return 0;
}
