// Mappings, page faults, snapshots.

#include <jacinth/startup.h>
#include <zircon/syscalls.h>

#include "bench.h"

constexpr size_t PAGE = 4096;
constexpr zx_vm_option_t RW = ZX_VM_PERM_READ | ZX_VM_PERM_WRITE;

static zx_vaddr_t map(zx_handle_t vmo, size_t size, zx_vm_option_t options) {
    zx_vaddr_t at;
    bench_check(zx_vmar_map(zx_vmar_root_self(), options, 0, vmo, 0, size, &at), "map");
    return at;
}

static void unmap(zx_vaddr_t at, size_t size) {
    bench_check(zx_vmar_unmap(zx_vmar_root_self(), at, size), "unmap");
}

static void touch(zx_vaddr_t at) {
    *(volatile uint8_t*)at = 1;
}

static zx_handle_t committed_vmo(size_t size) {
    zx_handle_t vmo;
    bench_check(zx_vmo_create(size, 0, &vmo), "vmo");
    bench_check(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, 0, size, nullptr, 0), "commit");
    return vmo;
}

static void map_touch_unmap(void* arg) {
    zx_vaddr_t at = map(*(zx_handle_t*)arg, PAGE, RW);
    touch(at);
    unmap(at, PAGE);
}

constexpr size_t RANGE_PAGES = 256;

static void map_range(void* arg) {
    zx_vaddr_t at = map(*(zx_handle_t*)arg, RANGE_PAGES * PAGE, RW | ZX_VM_MAP_RANGE);
    for (size_t i = 0; i < RANGE_PAGES; i++) {
        touch(at + i * PAGE);
    }
    unmap(at, RANGE_PAGES * PAGE);
}

// The cost of touching every `stride`-th page of a mapping once, less that of touching them again.
static int64_t fault_cost(zx_vaddr_t at, size_t pages, size_t stride) {
    zx_time_t begin = zx_clock_get_monotonic();
    for (size_t i = 0; i < pages; i++) {
        touch(at + i * stride * PAGE);
    }
    zx_time_t middle = zx_clock_get_monotonic();
    for (size_t i = 0; i < pages; i++) {
        touch(at + i * stride * PAGE);
    }
    zx_time_t end = zx_clock_get_monotonic();
    return ((middle - begin) - (end - middle)) / (int64_t)pages;
}

constexpr size_t FAULT_PAGES = 256;
// Pages so far apart that no fault maps another's along.
constexpr size_t APART = 32;

static int64_t zero_fill(void) {
    zx_handle_t vmo;
    bench_check(zx_vmo_create(FAULT_PAGES * PAGE, 0, &vmo), "vmo");
    zx_vaddr_t at = map(vmo, FAULT_PAGES * PAGE, RW);
    int64_t cost = fault_cost(at, FAULT_PAGES, 1);
    unmap(at, FAULT_PAGES * PAGE);
    bench_check(zx_handle_close(vmo), "close");
    return cost;
}

static int64_t present_page(void) {
    size_t size = FAULT_PAGES * APART * PAGE;
    zx_handle_t vmo;
    bench_check(zx_vmo_create(size, 0, &vmo), "vmo");
    for (size_t i = 0; i < FAULT_PAGES; i++) {
        bench_check(zx_vmo_op_range(vmo, ZX_VMO_OP_COMMIT, i * APART * PAGE, PAGE, nullptr, 0),
                    "commit");
    }
    zx_vaddr_t at = map(vmo, size, RW);
    int64_t cost = fault_cost(at, FAULT_PAGES, APART);
    unmap(at, size);
    bench_check(zx_handle_close(vmo), "close");
    return cost;
}

static int64_t copy_on_write(void) {
    size_t size = FAULT_PAGES * PAGE;
    zx_handle_t parent = committed_vmo(size);
    zx_handle_t child;
    bench_check(zx_vmo_create_child(parent, ZX_VMO_CHILD_SNAPSHOT, 0, size, &child), "snapshot");
    zx_vaddr_t at = map(child, size, RW);
    int64_t cost = fault_cost(at, FAULT_PAGES, 1);
    unmap(at, size);
    bench_check(zx_handle_close(child), "close");
    bench_check(zx_handle_close(parent), "close");
    return cost;
}

constexpr size_t SNAPSHOT_BYTES = 64 * 1024 * 1024;

// The creation alone; closing is not part of the row. `at`: where the parent is mapped and its
// pages are touched before each; 0: nowhere.
static int64_t snapshot(zx_handle_t parent, zx_vaddr_t at) {
    int64_t figures[BENCH_ROUNDS];
    for (size_t i = 0; i < BENCH_ROUNDS; i++) {
        for (size_t page = 0; at != 0 && page < SNAPSHOT_BYTES / PAGE; page++) {
            touch(at + page * PAGE);
        }
        zx_handle_t child;
        zx_time_t begin = zx_clock_get_monotonic();
        zx_status_t status =
            zx_vmo_create_child(parent, ZX_VMO_CHILD_SNAPSHOT, 0, SNAPSHOT_BYTES, &child);
        figures[i] = zx_clock_get_monotonic() - begin;
        bench_check(status, "snapshot");
        bench_check(zx_handle_close(child), "close");
    }
    return bench_median(figures, BENCH_ROUNDS);
}

static void bench_snapshots(void) {
    zx_handle_t parent = committed_vmo(SNAPSHOT_BYTES);
    if (bench_wanted("24")) {
        bench_report("24", snapshot(parent, 0));
    }
    zx_vaddr_t at = map(parent, SNAPSHOT_BYTES, RW);
    if (bench_wanted("24b")) {
        bench_report("24b", snapshot(parent, at));
    }
    unmap(at, SNAPSHOT_BYTES);
    bench_check(zx_handle_close(parent), "close");
}

void bench_memory(void) {
    zx_handle_t page = committed_vmo(PAGE);
    bench_row("19", map_touch_unmap, &page);
    bench_check(zx_handle_close(page), "close");
    zx_handle_t range = committed_vmo(RANGE_PAGES * PAGE);
    if (bench_wanted("20")) {
        bench_report("20", bench_measure(map_range, &range) / (int64_t)RANGE_PAGES);
    }
    bench_check(zx_handle_close(range), "close");
    if (bench_wanted("21")) {
        bench_report("21", zero_fill());
    }
    if (bench_wanted("22")) {
        bench_report("22", present_page());
    }
    if (bench_wanted("23")) {
        bench_report("23", copy_on_write());
    }
    bench_snapshots();
}
