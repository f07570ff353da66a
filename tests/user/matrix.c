// Every handle argument of every call: what is no handle, of the wrong type, or without a right
// that the call needs, in this order. The table and the shapes of the calls come from the
// definitions; nothing here names a call, except where a call says otherwise in its prose.
#include <utest/utest.h>

#include <stdio.h>
#include <string.h>

#include <jacinth/startup.h>
#include <syscall/model.h>
#include <zircon/syscalls/clock.h>
#include <zircon/syscalls/iommu.h>
#include <zircon/syscalls/log.h>
#include <zircon/syscalls/policy.h>
#include <zircon/syscalls/port.h>
#include <zircon/syscalls/profile.h>
#include <zircon/syscalls/resource.h>
#include <zircon/syscalls/system.h>

GROUP("matrix");

struct row {
    const char* call;
    uint32_t argument;
    uint64_t types;
    zx_rights_t rights;
    int32_t selector;
    uint64_t value;
};
static const struct row rows[] = {
#define ROW(call, argument, types, rights, selector, value) \
    {#call, argument, types, rights, selector, value},
#include "matrix.inc"
#undef ROW
};
constexpr size_t ROW_COUNT = sizeof(rows) / sizeof(rows[0]);

constexpr uint32_t ARGS_MAX = 8;

// ---- one object of every type ----

static zx_handle_t kit[ZX_OBJ_TYPE_UPPER_BOUND];
static zx_handle_t others[4]; // other ends

static zx_handle_t make_vmo(void) {
    zx_handle_t plain;
    zx_handle_t vmo;
    EXPECT_OK(zx_vmo_create(4096, ZX_VMO_RESIZABLE, &plain));
    EXPECT_OK(zx_vmo_replace_as_executable(plain, ZX_HANDLE_INVALID, &vmo));
    return vmo;
}

static zx_handle_t make_vmar(void) {
    zx_handle_t vmar;
    zx_vaddr_t base;
    EXPECT_OK(zx_vmar_allocate(zx_vmar_root_self(),
                               ZX_VM_CAN_MAP_READ | ZX_VM_CAN_MAP_WRITE | ZX_VM_CAN_MAP_EXECUTE, 0,
                               4096, &vmar, &base));
    return vmar;
}

static zx_handle_t make_stream(void) {
    zx_handle_t stream;
    EXPECT_OK(zx_stream_create(ZX_STREAM_MODE_READ | ZX_STREAM_MODE_WRITE, kit[ZX_OBJ_TYPE_VMO], 0,
                               &stream));
    return stream;
}

static zx_handle_t system_resource(void) {
    return utest_startup_peek(PA_HND(PA_SYSTEM_RESOURCE, 0));
}

static zx_handle_t make_resource(uint64_t base) {
    zx_handle_t resource;
    EXPECT_OK(
        zx_resource_create(system_resource(), ZX_RSRC_KIND_SYSTEM, base, 1, "test", 4, &resource));
    return resource;
}

static zx_handle_t make_profile(void) {
    zx_handle_t resource = make_resource(ZX_RSRC_SYSTEM_PROFILE_BASE);
    zx_profile_info_t info = {.flags = ZX_PROFILE_INFO_FLAG_PRIORITY, .priority = 16};
    zx_handle_t profile;
    EXPECT_OK(zx_profile_create(resource, 0, &info, &profile));
    EXPECT_CLOSE(resource);
    return profile;
}

static zx_handle_t make_log(void) {
    zx_handle_t resource = make_resource(ZX_RSRC_SYSTEM_DEBUGLOG_BASE);
    zx_handle_t log;
    EXPECT_OK(zx_debuglog_create(resource, ZX_LOG_FLAG_READABLE, &log));
    EXPECT_CLOSE(resource);
    return log;
}

static void make_device(void) {
    zx_handle_t resource = make_resource(ZX_RSRC_SYSTEM_IOMMU_BASE);
    zx_iommu_desc_dummy_t desc = {};
    EXPECT_OK(zx_iommu_create(resource, ZX_IOMMU_TYPE_DUMMY, &desc, sizeof(desc),
                              &kit[ZX_OBJ_TYPE_IOMMU]));
    EXPECT_OK(zx_bti_create(kit[ZX_OBJ_TYPE_IOMMU], 0, UINT64_MAX, &kit[ZX_OBJ_TYPE_BTI]));
    EXPECT_CLOSE(resource);
    EXPECT_OK(zx_interrupt_create(ZX_HANDLE_INVALID, 0, ZX_INTERRUPT_VIRTUAL,
                                  &kit[ZX_OBJ_TYPE_INTERRUPT]));
    resource = make_resource(ZX_RSRC_SYSTEM_MSI_BASE);
    EXPECT_OK(zx_msi_allocate(resource, 1, &kit[ZX_OBJ_TYPE_MSI]));
    EXPECT_CLOSE(resource);
}

static zx_handle_t make_pmt(void) {
    zx_handle_t vmo = utest_vmo(4096);
    zx_paddr_t address;
    zx_handle_t pmt;
    EXPECT_OK(zx_bti_pin(kit[ZX_OBJ_TYPE_BTI], ZX_BTI_PERM_READ, vmo, 0, 4096, &address, 1, &pmt));
    EXPECT_CLOSE(vmo);
    return pmt;
}

static void make_kit(void) {
    EXPECT_OK(
        zx_process_create(zx_job_default(), "kit", 3, 0, &kit[ZX_OBJ_TYPE_PROCESS], &others[0]));
    EXPECT_OK(zx_thread_create(kit[ZX_OBJ_TYPE_PROCESS], "kit", 3, 0, &kit[ZX_OBJ_TYPE_THREAD]));
    EXPECT_OK(zx_job_create(zx_job_default(), 0, &kit[ZX_OBJ_TYPE_JOB]));
    kit[ZX_OBJ_TYPE_VMO] = make_vmo();
    kit[ZX_OBJ_TYPE_VMAR] = make_vmar();
    EXPECT_OK(zx_socket_create(0, &kit[ZX_OBJ_TYPE_SOCKET], &others[1]));
    EXPECT_OK(zx_fifo_create(4, 4, 0, &kit[ZX_OBJ_TYPE_FIFO], &others[2]));
    EXPECT_OK(zx_eventpair_create(0, &kit[ZX_OBJ_TYPE_EVENTPAIR], &others[3]));
    kit[ZX_OBJ_TYPE_EVENT] = utest_event();
    kit[ZX_OBJ_TYPE_PORT] = utest_port();
    EXPECT_OK(zx_timer_create(0, ZX_CLOCK_MONOTONIC, &kit[ZX_OBJ_TYPE_TIMER]));
    EXPECT_OK(zx_clock_create(0, nullptr, &kit[ZX_OBJ_TYPE_CLOCK]));
    EXPECT_OK(zx_counter_create(0, &kit[ZX_OBJ_TYPE_COUNTER]));
    kit[ZX_OBJ_TYPE_STREAM] = make_stream();
    kit[ZX_OBJ_TYPE_PROFILE] = make_profile();
    kit[ZX_OBJ_TYPE_DEBUGLOG] = make_log();
    kit[ZX_OBJ_TYPE_RESOURCE] = make_resource(ZX_RSRC_SYSTEM_INFO_BASE);
    make_device();
}

static void drop_kit(void) {
    EXPECT_OK(zx_bti_release_quarantine(kit[ZX_OBJ_TYPE_BTI])); // what make_pmt() pinned
    EXPECT_OK(zx_vmar_destroy(kit[ZX_OBJ_TYPE_VMAR]));
    EXPECT_OK(zx_handle_close_many(kit, ZX_OBJ_TYPE_UPPER_BOUND));
    EXPECT_OK(zx_handle_close_many(others, 4));
    memset(kit, 0, sizeof(kit));
}

// What cannot be duplicated is made anew each time. (Exceptions are not among the kit: each needs a
// thread that waits in it.)
static bool is_made_anew(uint32_t type) {
    return type == ZX_OBJ_TYPE_CHANNEL || type == ZX_OBJ_TYPE_SUSPEND_TOKEN ||
           type == ZX_OBJ_TYPE_PMT || type == ZX_OBJ_TYPE_PAGER;
}

static bool in_kit(uint32_t type) {
    return kit[type] != ZX_HANDLE_INVALID || is_made_anew(type);
}

// A handle of its own to an object of this type, with all rights but these.
static zx_handle_t fresh(uint32_t type, zx_rights_t without) {
    if (!is_made_anew(type)) {
        return utest_without(kit[type], without);
    }
    zx_handle_t out;
    if (type == ZX_OBJ_TYPE_SUSPEND_TOKEN) {
        zx_handle_t token;
        EXPECT_OK(zx_task_suspend(kit[ZX_OBJ_TYPE_THREAD], &token));
        EXPECT_OK(zx_handle_replace(token, ZX_DEFAULT_SUSPEND_TOKEN_RIGHTS & ~without, &out));
        return out;
    }
    if (type == ZX_OBJ_TYPE_PMT) {
        EXPECT_OK(zx_handle_replace(make_pmt(), ZX_DEFAULT_PMT_RIGHTS & ~without, &out));
        return out;
    }
    if (type == ZX_OBJ_TYPE_PAGER) {
        zx_handle_t pager;
        EXPECT_OK(zx_pager_create(0, &pager));
        EXPECT_OK(zx_handle_replace(pager, ZX_DEFAULT_PAGER_RIGHTS & ~without, &out));
        return out;
    }
    struct utest_pair pair = utest_channel();
    EXPECT_CLOSE(pair.b);
    EXPECT_OK(zx_handle_replace(pair.a, ZX_DEFAULT_CHANNEL_RIGHTS & ~without, &out));
    return out;
}

// ---- calling ----

typedef uint64_t (*any_call)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                             uint64_t);

static const struct syscall_model* model_of(const char* name) {
    for (size_t i = 0; i < syscall_model_count; i++) {
        if (syscall_models[i].name != nullptr && strcmp(syscall_models[i].name, name) == 0) {
            return &syscall_models[i];
        }
    }
    FAIL("no call %s", name);
}

static uint32_t first_type(uint64_t types) {
    for (uint32_t type = 0; type < ZX_OBJ_TYPE_UPPER_BOUND; type++) {
        if ((types >> type & 1) != 0 && in_kit(type)) {
            return type;
        }
    }
    FAIL("no object of types 0x%lx", types);
}

static struct {
    zx_handle_t made[ARGS_MAX];
    uint32_t count;
} spare;

static uint64_t good_argument(const struct syscall_arg_model* a) {
    static uint64_t nothing[512];  // read by the call
    static uint64_t anything[512]; // written by it
    switch (a->kind) {
    case SYSCALL_ARG_HANDLE:
        if (a->is_optional) {
            return ZX_HANDLE_INVALID;
        }
        spare.made[spare.count] = fresh(first_type(a->types), 0);
        return spare.made[spare.count++];
    case SYSCALL_ARG_IN:
    case SYSCALL_ARG_FUTEX:
    case SYSCALL_ARG_INOUT:
        return (uint64_t)nothing;
    case SYSCALL_ARG_OUT:
    case SYSCALL_ARG_OUT_HANDLE:
        return (uint64_t)anything;
    default:
        return 0;
    }
}

// Everything as it should be but for one handle, which is the caller's to close.
static zx_status_t call_with(const struct row* row, zx_handle_t handle) {
    const struct syscall_model* m = model_of(row->call);
    uint64_t args[ARGS_MAX] = {};
    spare.count = 0;
    for (uint32_t i = 0; i < m->arg_count; i++) {
        args[i] = i == row->argument            ? handle
                  : (int32_t)i == row->selector ? row->value
                                                : good_argument(&m->args[i]);
    }
    any_call call = (any_call)syscall_entry_points[m - syscall_models];
    zx_status_t status =
        (zx_status_t)call(args[0], args[1], args[2], args[3], args[4], args[5], args[6], args[7]);
    for (uint32_t i = 0; i < spare.count; i++) {
        (void)zx_handle_close(spare.made[i]); // some calls have consumed it
    }
    return status;
}

static void describe(const struct row* row, const char* what, uint64_t which) {
    static char text[160];
    snprintf(text, sizeof(text), "%s, argument %u, %s 0x%lx, selector 0x%lx", row->call,
             row->argument, what, which, row->value);
    utest_context(text);
}

// What a call closes on its way out of the thread is not looked at.
static bool is_left_out(const struct row* row) {
    const struct syscall_model* m = model_of(row->call);
    return (m->flags & SYSCALL_FLAG_NORETURN) != 0 ||
           strcmp(m->args[row->argument].name, "close_handle") == 0;
}

// ---- cases ----

static void need_resources(void) {
    if (system_resource() == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
}

CASE_WITHIN(bad_handles, 60) {
    need_resources();
    make_kit();
    zx_handle_t stale = utest_stale_handle();
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct row* row = &rows[i];
        if (is_left_out(row)) {
            continue;
        }
        describe(row, "stale handle", stale);
        EXPECT_STATUS(call_with(row, stale), ZX_ERR_BAD_HANDLE);
        const struct syscall_arg_model* a = &model_of(row->call)->args[row->argument];
        if (!a->is_optional && strcmp(row->call, "handle_close") != 0) {
            describe(row, "invalid handle", 0);
            EXPECT_STATUS(call_with(row, ZX_HANDLE_INVALID), ZX_ERR_BAD_HANDLE);
        }
    }
    drop_kit();
}

// With all rights and with none: the type is looked at first.
CASE_WITHIN(wrong_types, 120) {
    need_resources();
    make_kit();
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct row* row = &rows[i];
        for (uint32_t type = 1; type < ZX_OBJ_TYPE_UPPER_BOUND; type++) {
            if (!in_kit(type) || (row->types >> type & 1) != 0 || is_left_out(row)) {
                continue;
            }
            for (uint32_t rights = 0; rights < 2; rights++) {
                describe(row, rights == 0 ? "type" : "type without rights", type);
                zx_handle_t handle = fresh(type, rights == 0 ? 0 : UINT32_MAX);
                EXPECT_STATUS(call_with(row, handle), ZX_ERR_WRONG_TYPE);
                (void)zx_handle_close(handle);
            }
        }
    }
    drop_kit();
}

CASE_WITHIN(missing_rights, 120) {
    need_resources();
    make_kit();
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct row* row = &rows[i];
        for (uint32_t bit = 0; bit < 31; bit++) {
            if ((row->rights >> bit & 1) == 0) {
                continue;
            }
            for (uint32_t type = 1; type < ZX_OBJ_TYPE_UPPER_BOUND; type++) {
                if (!in_kit(type) || (row->types >> type & 1) == 0 || is_left_out(row)) {
                    continue;
                }
                describe(row, "without right", 1ul << bit);
                zx_handle_t handle = fresh(type, 1u << bit);
                EXPECT_STATUS(call_with(row, handle), ZX_ERR_ACCESS_DENIED);
                (void)zx_handle_close(handle);
            }
        }
    }
    drop_kit();
}

// The kit's handles have what their types have by default.
CASE(default_rights) {
    need_resources();
    make_kit();
    static const struct {
        uint32_t type;
        zx_rights_t rights;
    } defaults[] = {
        {ZX_OBJ_TYPE_PROCESS, ZX_DEFAULT_PROCESS_RIGHTS},
        {ZX_OBJ_TYPE_THREAD, ZX_DEFAULT_THREAD_RIGHTS},
        {ZX_OBJ_TYPE_JOB, ZX_DEFAULT_JOB_RIGHTS},
        {ZX_OBJ_TYPE_SOCKET, ZX_DEFAULT_SOCKET_RIGHTS},
        {ZX_OBJ_TYPE_FIFO, ZX_DEFAULT_FIFO_RIGHTS},
        {ZX_OBJ_TYPE_EVENTPAIR, ZX_DEFAULT_EVENTPAIR_RIGHTS},
        {ZX_OBJ_TYPE_EVENT, ZX_DEFAULT_EVENT_RIGHTS},
        {ZX_OBJ_TYPE_PORT, ZX_DEFAULT_PORT_RIGHTS},
        {ZX_OBJ_TYPE_TIMER, ZX_DEFAULT_TIMER_RIGHTS},
        {ZX_OBJ_TYPE_CLOCK, ZX_DEFAULT_CLOCK_RIGHTS},
        {ZX_OBJ_TYPE_COUNTER, ZX_DEFAULT_COUNTER_RIGHTS},
        {ZX_OBJ_TYPE_PROFILE, ZX_DEFAULT_PROFILE_RIGHTS},
        {ZX_OBJ_TYPE_RESOURCE, ZX_DEFAULT_RESOURCE_RIGHTS},
    };
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        zx_info_handle_basic_t info = utest_basic(kit[defaults[i].type]);
        EXPECT_EQ(info.type, defaults[i].type);
        EXPECT_EQ(info.rights, defaults[i].rights);
    }
    drop_kit();
}
