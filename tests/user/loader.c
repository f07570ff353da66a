// What starting a program costs, whatever its size: the memory that the load holds before the first
// instruction runs.
//
// `bin/big` is there only when the boot image was given one (tests/system/programs_test.py does).
#include <utest/utest.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/syscalls/resource.h>

GROUP("loader");

constexpr uint64_t ANONYMOUS_SLACK = 64 * 1024;
constexpr uint64_t HEAP_SLACK = 128 * 1024;

// The SYSTEM resource; taken once, since a start-up handle can be.
static zx_handle_t system_resource(void) {
    static zx_handle_t system;
    if (system == ZX_HANDLE_INVALID) {
        system = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0));
    }
    return system;
}

static uint64_t heap_in_use(void) {
    zx_handle_t info;
    zx_info_kmem_stats_t stats;
    EXPECT_OK(zx_resource_create(system_resource(), ZX_RSRC_KIND_SYSTEM, ZX_RSRC_SYSTEM_INFO_BASE,
                                 1, "info", 4, &info));
    EXPECT_OK(
        zx_object_get_info(info, ZX_INFO_KMEM_STATS, &stats, sizeof(stats), nullptr, nullptr));
    EXPECT_CLOSE(info);
    return stats.total_heap_bytes;
}

struct cost {
    uint64_t anonymous; // private memory of the process that is ready to run
    uint64_t heap;      // growth of the kernel heap
    uint64_t mapped;
};

// False: there is no such file.
static bool load(const char* path, struct cost* cost) {
    struct launch_file file = {};
    if (bootsvc_open(bootsvc_startup(), path, &file.vmo, &file.len) != ZX_OK) {
        return false;
    }
    struct launch_vdso vdso;
    EXPECT_EQ(launch_vdso_init(&vdso, zx_vmo_vdso()).error, LAUNCH_OK);
    const char* const args[] = {path};
    struct launch_request request = {.job = zx_job_default(),
                                     .name = path,
                                     .file = file,
                                     .vdso = &vdso,
                                     .args = args,
                                     .arg_count = 1};
    struct launched made;
    uint64_t before = heap_in_use();
    EXPECT_EQ(launch_prepare(&request, &made).error, LAUNCH_OK);
    zx_info_task_stats_t stats;
    EXPECT_OK(zx_object_get_info(made.process, ZX_INFO_TASK_STATS, &stats, sizeof(stats), nullptr,
                                 nullptr));
    uint64_t after = heap_in_use();
    *cost = (struct cost){.anonymous = stats.mem_private_bytes,
                          .heap = after > before ? after - before : 0,
                          .mapped = stats.mem_mapped_bytes};
    launch_abandon(&made);
    EXPECT_CLOSE(file.vmo);
    return true;
}

CASE(cost_does_not_depend_on_size) {
    struct cost warm_up;
    struct cost small;
    struct cost big;
    EXPECT(load("bin/hello", &warm_up));
    EXPECT(load("bin/hello", &small));
    if (!load("bin/big", &big)) {
        utest_skip("no bin/big in this boot image");
    }
    EXPECT(big.mapped > 90ull * 1024 * 1024); // it is big
    EXPECT(small.mapped < 8ull * 1024 * 1024);
    EXPECT(big.anonymous <= small.anonymous + ANONYMOUS_SLACK);
    EXPECT(big.heap <= HEAP_SLACK);
}

// The same program again and again: nothing accumulates, and the place differs.
CASE(a_thousand_loads) {
    constexpr size_t LOADS = 1000;
    struct cost first;
    struct cost last;
    EXPECT(load("bin/hello", &first));
    for (size_t i = 0; i < LOADS; i++) {
        EXPECT(load("bin/hello", &last));
    }
    EXPECT_EQ(last.anonymous, first.anonymous);
    EXPECT_EQ(last.mapped, first.mapped);
}
