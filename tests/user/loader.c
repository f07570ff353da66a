// Loading the same program over and over.
#include <utest/utest.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>

GROUP("loader");

struct cost {
    uint64_t anonymous; // private memory of the process that is ready to run
    uint64_t mapped;
};

static struct cost load(const char* path) {
    struct launch_file file = {};
    EXPECT_OK(bootsvc_open(bootsvc_startup(), path, &file.vmo, &file.len));
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
    EXPECT_EQ(launch_prepare(&request, &made).error, LAUNCH_OK);
    zx_info_task_stats_t stats;
    EXPECT_OK(zx_object_get_info(made.process, ZX_INFO_TASK_STATS, &stats, sizeof(stats), nullptr,
                                 nullptr));
    launch_abandon(&made);
    EXPECT_CLOSE(file.vmo);
    return (struct cost){.anonymous = stats.mem_private_bytes, .mapped = stats.mem_mapped_bytes};
}

// Nothing accumulates: the last is what the first was.
CASE(a_thousand_loads) {
    struct cost first = load("bin/hello");
    for (size_t i = 0; i < 1000; i++) {
        struct cost next = load("bin/hello");
        EXPECT_EQ(next.anonymous, first.anonymous);
        EXPECT_EQ(next.mapped, first.mapped);
    }
}
