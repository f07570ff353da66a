// Processes for cases: this program once more.
#include <utest/utest.h>

#include <stdio.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>

#include "harness_priv.h"

constexpr int64_t JOIN_MS = 20000;

static zx_handle_t open_self(void) {
    char path[64];
    snprintf(path, sizeof(path), "test/%s", utest_group);
    zx_handle_t vmo;
    uint64_t size;
    EXPECT_OK(bootsvc_open(bootsvc_startup(), path, &vmo, &size));
    return vmo;
}

static uint64_t size_of(zx_handle_t vmo) {
    uint64_t size;
    EXPECT_OK(zx_vmo_get_stream_size(vmo, &size));
    return size;
}

void utest_child_prepare(struct utest_prepared* p, const char* name, zx_handle_t job) {
    struct launch_vdso vdso;
    EXPECT_EQ(launch_vdso_init(&vdso, zx_vmo_vdso()).error, LAUNCH_OK);
    struct utest_pair channel = utest_channel();
    const char* args[] = {utest_group, UTEST_CHILD_FLAG, name};
    zx_handle_t its_job = job != ZX_HANDLE_INVALID ? job : zx_job_default();
    struct launch_handle handles[] = {
        {.info = PA_HND(PA_USER1, 0), .handle = channel.b},
        {.info = PA_HND(PA_JOB_DEFAULT, 0), .handle = utest_without(its_job, 0)}};
    zx_handle_t file = open_self();
    struct launch_request request = {
        .mode = LAUNCH_NATIVE,
        .job = its_job,
        .name = name,
        .file = {.vmo = file, .len = size_of(file)},
        .vdso = &vdso,
        .args = args,
        .arg_count = sizeof(args) / sizeof(args[0]),
        .handles = handles,
        .handle_count = 2,
    };
    struct launched made;
    struct launch_result result = launch_prepare(&request, &made);
    EXPECT_CLOSE(file);
    if (result.error != LAUNCH_OK) {
        FAIL("launch of %s: %s (%d)", name, launch_error_text(result.error), result.status);
    }
    *p = (struct utest_prepared){.process = made.process,
                                 .thread = made.thread,
                                 .root_vmar = made.root_vmar,
                                 .bootstrap = made.their_bootstrap,
                                 .bootstrap_other = made.bootstrap,
                                 .channel = channel.a,
                                 .entry = made.entry,
                                 .stack = made.stack,
                                 .vdso_base = made.vdso_base};
}

void utest_prepared_close(struct utest_prepared* p) {
    zx_handle_t all[] = {p->process,   p->thread,          p->root_vmar,
                         p->bootstrap, p->bootstrap_other, p->channel};
    EXPECT_OK(zx_handle_close_many(all, sizeof(all) / sizeof(all[0])));
    *p = (struct utest_prepared){};
}

void utest_child_start(struct utest_child* c, const char* name, zx_handle_t job) {
    struct utest_prepared p;
    utest_child_prepare(&p, name, job);
    zx_handle_t bootstrap = p.bootstrap;
    p.bootstrap = ZX_HANDLE_INVALID;
    EXPECT_OK(zx_process_start(p.process, p.thread, p.entry, p.stack, bootstrap, p.vdso_base));
    *c = (struct utest_child){.process = p.process, .channel = p.channel};
    p.process = p.channel = ZX_HANDLE_INVALID;
    utest_prepared_close(&p);
}

int64_t utest_child_join(struct utest_child* c) {
    EXPECT_OK(
        zx_object_wait_one(c->process, ZX_PROCESS_TERMINATED, utest_after_ms(JOIN_MS), nullptr));
    zx_info_process_t info;
    EXPECT_OK(
        zx_object_get_info(c->process, ZX_INFO_PROCESS, &info, sizeof(info), nullptr, nullptr));
    EXPECT_CLOSE(c->process);
    EXPECT_CLOSE(c->channel);
    return info.return_code;
}

int64_t utest_child_run(const char* name) {
    struct utest_child c;
    utest_child_start(&c, name, ZX_HANDLE_INVALID);
    return utest_child_join(&c);
}
