// The machine as a whole: its facts, random numbers, resources, statistics, the log.
#include <utest/utest.h>

#include <string.h>

#include <jacinth/startup.h>
#include <zircon/features.h>
#include <zircon/syscalls/log.h>
#include <zircon/syscalls/resource.h>
#include <zircon/syscalls/system.h>

GROUP("system");

static zx_handle_t whole_system(void) {
    zx_handle_t h = utest_startup_peek(PA_HND(PA_SYSTEM_RESOURCE, 0));
    if (h == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
    return h;
}

static zx_handle_t part(uint64_t base) {
    zx_handle_t out;
    EXPECT_OK(zx_resource_create(whole_system(), ZX_RSRC_KIND_SYSTEM, base, 1, "part", 4, &out));
    return out;
}

CASE(facts) {
    EXPECT(zx_system_get_num_cpus() >= 1);
    EXPECT_EQ(zx_system_get_page_size(), 4096);
    EXPECT(zx_system_get_physmem() > 16 << 20);
    EXPECT(zx_system_get_version_string().length > 0);
    uint32_t line = zx_system_get_dcache_line_size();
    EXPECT(line >= 16 && (line & (line - 1)) == 0);
    uint32_t features;
    EXPECT_OK(zx_system_get_features(ZX_FEATURE_KIND_CPU, &features));
    EXPECT_STATUS(zx_system_get_features(99, &features), ZX_ERR_NOT_SUPPORTED);
}

CASE(random_numbers) {
    uint8_t a[1000] = {};
    uint8_t b[1000] = {};
    zx_cprng_draw(a, sizeof(a));
    zx_cprng_draw(b, sizeof(b));
    EXPECT(memcmp(a, b, sizeof(a)) != 0);
    uint32_t bits = 0;
    for (size_t i = 0; i < sizeof(a); i++) {
        bits += (uint32_t)__builtin_popcount(a[i]);
    }
    EXPECT(bits > 3600 && bits < 4400);
    EXPECT_OK(zx_cprng_add_entropy(a, ZX_CPRNG_ADD_ENTROPY_MAX_LEN));
    EXPECT_STATUS(zx_cprng_add_entropy(a, ZX_CPRNG_ADD_ENTROPY_MAX_LEN + 1), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_READ, 64) {
        EXPECT_STATUS(zx_cprng_add_entropy(p, 64), ZX_ERR_INVALID_ARGS);
    }
}

CASE(debug_write_errors) {
    EXPECT_OK(zx_debug_write("", 0));
    FOR_BAD_POINTERS(p, UTEST_READ, 64) {
        EXPECT_STATUS(zx_debug_write(p, 64), ZX_ERR_INVALID_ARGS);
    }
}

CASE(resources) {
    zx_handle_t whole = whole_system();
    zx_handle_t info = part(ZX_RSRC_SYSTEM_INFO_BASE);
    EXPECT_EQ(utest_basic(info).rights, ZX_DEFAULT_RESOURCE_RIGHTS);
    zx_info_resource_t r;
    EXPECT_OK(zx_object_get_info(info, ZX_INFO_RESOURCE, &r, sizeof(r), nullptr, nullptr));
    EXPECT_EQ(r.kind, ZX_RSRC_KIND_SYSTEM);
    EXPECT_EQ(r.base, ZX_RSRC_SYSTEM_INFO_BASE);
    EXPECT_EQ(r.size, 1);
    EXPECT_EQ(strcmp(r.name, "part"), 0);
    zx_handle_t out;
    zx_handle_t weak = utest_without(whole, ZX_RIGHT_WRITE);
    EXPECT_STATUS(zx_resource_create(weak, ZX_RSRC_KIND_SYSTEM, 0, 1, "", 0, &out),
                  ZX_ERR_ACCESS_DENIED);
    EXPECT_CLOSE(weak);
    FOR_BAD_POINTERS(p, UTEST_READ, 8) {
        EXPECT_STATUS(zx_resource_create(whole, ZX_RSRC_KIND_SYSTEM, 0, 1, p, 8, &out),
                      ZX_ERR_INVALID_ARGS);
    }
    EXPECT_CLOSE(info);
}

// Not beyond the parent, not of another kind, nothing that is no range.
CASE(resource_errors) {
    constexpr uint64_t BASE = 0x5000;
    zx_handle_t mmio = utest_startup_peek(PA_HND(PA_MMIO_RESOURCE, 0));
    zx_handle_t part;
    zx_handle_t out;
    if (mmio == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
    EXPECT_OK(zx_resource_create(mmio, ZX_RSRC_KIND_MMIO, BASE, 0x1000, "", 0, &part));
    static const struct {
        uint32_t options;
        uint64_t base, size;
        zx_status_t status;
    } rows[] = {
        {ZX_RSRC_KIND_MMIO, BASE, 0x1000, ZX_OK},
        {ZX_RSRC_KIND_MMIO, BASE + 0xfff, 1, ZX_OK},
        {ZX_RSRC_KIND_MMIO, BASE - 1, 1, ZX_ERR_ACCESS_DENIED},
        {ZX_RSRC_KIND_MMIO, BASE - 1, 0x1001, ZX_ERR_ACCESS_DENIED},
        {ZX_RSRC_KIND_MMIO, BASE, 0x1001, ZX_ERR_ACCESS_DENIED},
        {ZX_RSRC_KIND_MMIO, BASE + 0xfff, 2, ZX_ERR_ACCESS_DENIED},
        {ZX_RSRC_KIND_MMIO, BASE + 0x1000, 1, ZX_ERR_ACCESS_DENIED},
        {ZX_RSRC_KIND_MMIO, 0, UINT64_MAX, ZX_ERR_ACCESS_DENIED},
        {ZX_RSRC_KIND_IRQ, BASE, 1, ZX_ERR_ACCESS_DENIED},
        {ZX_RSRC_KIND_SYSTEM, BASE, 1, ZX_ERR_ACCESS_DENIED},
        {ZX_RSRC_KIND_IOPORT, BASE, 1, ZX_ERR_ACCESS_DENIED},
        {0xffff, BASE, 1, ZX_ERR_ACCESS_DENIED},
        {ZX_RSRC_KIND_MMIO, BASE, 0, ZX_ERR_INVALID_ARGS},
        {ZX_RSRC_KIND_MMIO, UINT64_MAX, 2, ZX_ERR_INVALID_ARGS},
        {ZX_RSRC_KIND_MMIO, BASE, UINT64_MAX, ZX_ERR_INVALID_ARGS},
        {ZX_RSRC_KIND_MMIO | 1u << 17, BASE, 1, ZX_ERR_INVALID_ARGS},
        {ZX_RSRC_KIND_MMIO | 1u << 30, BASE, 1, ZX_ERR_INVALID_ARGS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EXPECT_STATUS(
            zx_resource_create(part, rows[i].options, rows[i].base, rows[i].size, "", 0, &out),
            rows[i].status);
        if (rows[i].status == ZX_OK) {
            EXPECT_CLOSE(out);
        }
    }
    EXPECT_CLOSE(part);
}

CASE(exclusive) {
    uint32_t options = ZX_RSRC_KIND_MMIO | ZX_RSRC_FLAG_EXCLUSIVE;
    zx_handle_t mmio = utest_startup_peek(PA_HND(PA_MMIO_RESOURCE, 0));
    if (mmio == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
    zx_handle_t first;
    zx_handle_t second;
    EXPECT_OK(zx_resource_create(mmio, options, 0xf0000000, 0x2000, "", 0, &first));
    EXPECT_STATUS(zx_resource_create(mmio, options, 0xf0001000, 0x2000, "", 0, &second),
                  ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(first);
    EXPECT_OK(zx_resource_create(mmio, options, 0xf0001000, 0x2000, "", 0, &second));
    EXPECT_CLOSE(second);
}

// Who has a range to himself may give away parts of it; they are one's own as well, and keep the
// whole taken.
CASE(exclusive_parts) {
    uint32_t options = ZX_RSRC_KIND_MMIO | ZX_RSRC_FLAG_EXCLUSIVE;
    zx_handle_t mmio = utest_startup_peek(PA_HND(PA_MMIO_RESOURCE, 0));
    if (mmio == ZX_HANDLE_INVALID) {
        utest_skip("started without resources");
    }
    zx_handle_t whole;
    zx_handle_t part_a;
    zx_handle_t part_b;
    zx_handle_t inner;
    zx_handle_t none;
    EXPECT_OK(zx_resource_create(mmio, options, 0xf0000000, 0x4000, "", 0, &whole));
    EXPECT_OK(zx_resource_create(whole, options, 0xf0000000, 0x2000, "", 0, &part_a));
    EXPECT_OK(zx_resource_create(whole, ZX_RSRC_KIND_MMIO, 0xf0002000, 0x2000, "", 0, &part_b));
    EXPECT_OK(zx_resource_create(part_a, options, 0xf0001000, 0x1000, "", 0, &inner));
    // Not twice, not by others.
    EXPECT_STATUS(zx_resource_create(whole, options, 0xf0000000, 0x1000, "", 0, &none),
                  ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(zx_resource_create(whole, options, 0xf0002000, 0x1000, "", 0, &none),
                  ZX_ERR_NOT_FOUND);
    EXPECT_STATUS(zx_resource_create(mmio, ZX_RSRC_KIND_MMIO, 0xf0003000, 0x1000, "", 0, &none),
                  ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(whole);
    EXPECT_CLOSE(part_a);
    EXPECT_CLOSE(part_b);
    EXPECT_STATUS(zx_resource_create(mmio, ZX_RSRC_KIND_MMIO, 0xf0003000, 0x1000, "", 0, &none),
                  ZX_ERR_NOT_FOUND);
    EXPECT_CLOSE(inner);
    EXPECT_OK(zx_resource_create(mmio, options, 0xf0003000, 0x1000, "", 0, &none));
    EXPECT_CLOSE(none);
}

// ---- power ----

CASE(powerctl) {
    zx_handle_t power = part(ZX_RSRC_SYSTEM_POWER_BASE);
    EXPECT_OK(zx_system_powerctl(power, ZX_SYSTEM_POWERCTL_ENABLE_ALL_CPUS, nullptr));
    static const uint32_t not_here[] = {
        ZX_SYSTEM_POWERCTL_DISABLE_ALL_CPUS_BUT_PRIMARY, ZX_SYSTEM_POWERCTL_ACPI_TRANSITION_S_STATE,
        ZX_SYSTEM_POWERCTL_X86_SET_PKG_PL1, ZX_SYSTEM_POWERCTL_ACK_KERNEL_INITIATED_REBOOT};
    zx_system_powerctl_arg_t arg = {};
    for (uint32_t i = 0; i < sizeof(not_here) / sizeof(not_here[0]); i++) {
        EXPECT_STATUS(zx_system_powerctl(power, not_here[i], &arg), ZX_ERR_NOT_SUPPORTED);
    }
    FOR_BAD_POINTERS(p, UTEST_READ | UTEST_OR_NULL, sizeof(arg)) {
        EXPECT_STATUS(zx_system_powerctl(power, ZX_SYSTEM_POWERCTL_ENABLE_ALL_CPUS, p),
                      ZX_ERR_INVALID_ARGS);
    }
    EXPECT_CLOSE(power);
    EXPECT_STATUS(
        zx_system_powerctl(ZX_HANDLE_INVALID, ZX_SYSTEM_POWERCTL_ENABLE_ALL_CPUS, nullptr),
        ZX_ERR_BAD_HANDLE);
}

// ---- memory pressure ----

CASE(memory_events) {
    zx_handle_t root = utest_startup_peek(PA_HND(PA_USER0, 0)); // GRANTED_ROOT_JOB
    if (root == ZX_HANDLE_INVALID) {
        utest_skip("started without the root job");
    }
    uint32_t asserted = 0;
    for (uint32_t kind = ZX_SYSTEM_EVENT_OUT_OF_MEMORY;
         kind <= ZX_SYSTEM_EVENT_IMMINENT_OUT_OF_MEMORY; kind++) {
        zx_handle_t event;
        zx_handle_t again;
        EXPECT_OK(zx_system_get_event(root, kind, &event));
        EXPECT_OK(zx_system_get_event(root, kind, &again));
        zx_info_handle_basic_t info = utest_basic(event);
        EXPECT_EQ(info.type, ZX_OBJ_TYPE_EVENT);
        EXPECT_EQ(info.rights, ZX_DEFAULT_SYSTEM_EVENT_LOW_MEMORY_RIGHTS);
        EXPECT_EQ(info.koid, utest_koid(again));
        EXPECT_STATUS(zx_object_signal(event, 0, ZX_EVENT_SIGNALED), ZX_ERR_ACCESS_DENIED);
        asserted += utest_signals(event, ZX_EVENT_SIGNALED) != 0;
        EXPECT_CLOSE(event);
        EXPECT_CLOSE(again);
    }
    EXPECT_EQ(asserted, 1); // one level at a time
    zx_handle_t none;
    EXPECT_STATUS(zx_system_get_event(root, 0, &none), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_system_get_event(root, 6, &none), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_system_get_event(zx_job_default(), 1, &none), ZX_ERR_ACCESS_DENIED);
}

CASE(what_commands_say) {
    zx_handle_t debug = part(ZX_RSRC_SYSTEM_DEBUG_BASE);
    char text[4096];
    char some[16] = {};
    size_t all;
    size_t actual;
    EXPECT_OK(zx_debug_run_command(debug, "help", 4, text, sizeof(text), &all));
    EXPECT(all > 100 && all < sizeof(text));
    EXPECT(memcmp(text, "  ", 2) == 0 && text[all - 1] == '\n');
    EXPECT_OK(zx_debug_run_command(debug, "help", 4, some, 8, &actual));
    EXPECT(actual == all && memcmp(some, text, 8) == 0 && some[8] == '\0');
    EXPECT_OK(zx_debug_run_command(debug, "help", 4, nullptr, 0, &actual));
    EXPECT_EQ(actual, all);
    EXPECT_STATUS(zx_debug_run_command(debug, "nothing", 7, text, sizeof(text), &actual),
                  ZX_ERR_NOT_FOUND);
    EXPECT(memcmp(text, "k: no command 'nothing'", 23) == 0);
    EXPECT_STATUS(zx_debug_run_command(debug, "", 0, text, sizeof(text), &actual),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_debug_run_command(debug, "help", 4, text, (64 << 10) + 1, &actual),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_debug_run_command(debug, "help", 4, (char*)1, 16, &actual),
                  ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(debug);
}

CASE(wrong_resource) {
    zx_handle_t info = part(ZX_RSRC_SYSTEM_INFO_BASE);
    zx_handle_t out;
    size_t actual;
    char byte;
    EXPECT(zx_system_powerctl(info, ZX_SYSTEM_POWERCTL_SHUTDOWN, nullptr) != ZX_OK);
    EXPECT(zx_debug_read(info, &byte, 1, &actual) != ZX_OK);
    EXPECT(zx_debug_send_command(info, "help", 4) != ZX_OK);
    EXPECT(zx_debug_run_command(info, "help", 4, &byte, 1, &actual) != ZX_OK);
    EXPECT(zx_debuglog_create(info, 0, &out) != ZX_OK);
    EXPECT(zx_vmo_create_physical(info, 0, 4096, &out) != ZX_OK);
    EXPECT_CLOSE(info);
    zx_handle_t power = part(ZX_RSRC_SYSTEM_POWER_BASE);
    EXPECT_STATUS(zx_system_powerctl(power, 99, nullptr), ZX_ERR_INVALID_ARGS);
    EXPECT_STATUS(zx_system_powerctl(power, 0, nullptr), ZX_ERR_INVALID_ARGS);
    zx_info_kmem_stats_t stats;
    EXPECT(zx_object_get_info(power, ZX_INFO_KMEM_STATS, &stats, sizeof(stats), nullptr, nullptr) !=
           ZX_OK);
    EXPECT_CLOSE(power);
}

// Waits for what nobody types.
CHILD(reads_the_console) {
    zx_handle_t debug;
    EXPECT_OK(zx_object_wait_one(channel, ZX_CHANNEL_READABLE, ZX_TIME_INFINITE, nullptr));
    EXPECT_OK(zx_channel_read(channel, 0, nullptr, &debug, 0, 1, nullptr, nullptr));
    char text[8];
    size_t actual = 9;
    EXPECT_OK(zx_debug_read(debug, text, 0, &actual)); // nothing asked for, nothing to wait for
    EXPECT_EQ(actual, 0);
    EXPECT_OK(zx_channel_write(channel, 0, nullptr, 0, nullptr, 0));
    return zx_debug_read(debug, text, sizeof(text), &actual);
}

CASE(debug_read_waits) {
    struct utest_child c;
    zx_handle_t debug = part(ZX_RSRC_SYSTEM_DEBUG_BASE);
    utest_child_start(&c, "reads_the_console", ZX_HANDLE_INVALID);
    EXPECT_OK(zx_channel_write(c.channel, 0, nullptr, 0, &debug, 1));
    EXPECT_OK(zx_object_wait_one(c.channel, ZX_CHANNEL_READABLE, utest_after_ms(10000), nullptr));
    zx_koid_t koid;
    zx_handle_t thread;
    EXPECT_OK(zx_object_get_info(c.process, ZX_INFO_PROCESS_THREADS, &koid, sizeof(koid), nullptr,
                                 nullptr));
    EXPECT_OK(zx_object_get_child(c.process, koid, ZX_RIGHT_SAME_RIGHTS, &thread));
    utest_thread_reach(thread, ZX_THREAD_STATE_BLOCKED_INTERRUPT);
    EXPECT_CLOSE(thread);
    EXPECT_OK(zx_task_kill(c.process));
    EXPECT_EQ(utest_child_join(&c), ZX_TASK_RETCODE_SYSCALL_KILL);
}

CASE(statistics) {
    zx_handle_t info = part(ZX_RSRC_SYSTEM_INFO_BASE);
    zx_info_kmem_stats_t mem;
    EXPECT_OK(zx_object_get_info(info, ZX_INFO_KMEM_STATS, &mem, sizeof(mem), nullptr, nullptr));
    EXPECT(mem.free_bytes > 0 && mem.free_bytes < mem.total_bytes);
    EXPECT_STATUS(
        zx_object_get_info(info, ZX_INFO_KMEM_STATS, &mem, sizeof(mem) - 1, nullptr, nullptr),
        ZX_ERR_BUFFER_TOO_SMALL);
    static zx_info_cpu_stats_t cpus[64];
    size_t actual;
    size_t avail;
    EXPECT_OK(zx_object_get_info(info, ZX_INFO_CPU_STATS, cpus, sizeof(cpus), &actual, &avail));
    EXPECT_EQ(avail, zx_system_get_num_cpus());
    EXPECT_EQ(actual, avail);
    EXPECT_EQ(cpus[0].flags, ZX_INFO_CPU_STATS_FLAG_ONLINE);
    EXPECT_CLOSE(info);
}

// ---- information in general ----

CASE(topics) {
    zx_handle_t self = zx_process_self();
    zx_info_handle_basic_t basic;
    size_t actual = 9;
    size_t avail = 9;
    EXPECT_STATUS(zx_object_get_info(self, 99, &basic, sizeof(basic), &actual, &avail),
                  ZX_ERR_NOT_SUPPORTED);
    EXPECT_STATUS(
        zx_object_get_info(self, ZX_INFO_HANDLE_BASIC, &basic, sizeof(basic) - 1, &actual, &avail),
        ZX_ERR_BUFFER_TOO_SMALL);
    EXPECT_EQ(actual, 0);
    EXPECT_EQ(avail, 1);
    EXPECT_OK(
        zx_object_get_info(self, ZX_INFO_HANDLE_BASIC, &basic, sizeof(basic), &actual, &avail));
    EXPECT_EQ(actual, 1);
    EXPECT_OK(zx_object_get_info(self, ZX_INFO_HANDLE_VALID, nullptr, 0, nullptr, nullptr));
    EXPECT_STATUS(zx_object_get_info(utest_stale_handle(), ZX_INFO_HANDLE_VALID, nullptr, 0,
                                     nullptr, nullptr),
                  ZX_ERR_BAD_HANDLE);
    FOR_BAD_POINTERS(p, UTEST_WRITE, sizeof(basic)) {
        EXPECT_STATUS(
            zx_object_get_info(self, ZX_INFO_HANDLE_BASIC, p, sizeof(basic), nullptr, nullptr),
            ZX_ERR_INVALID_ARGS);
    }
    FOR_BAD_POINTERS(p, UTEST_WRITE | UTEST_OR_NULL, sizeof(size_t)) {
        EXPECT_STATUS(
            zx_object_get_info(self, ZX_INFO_HANDLE_BASIC, &basic, sizeof(basic), p, nullptr),
            ZX_ERR_INVALID_ARGS);
        EXPECT_STATUS(
            zx_object_get_info(self, ZX_INFO_HANDLE_BASIC, &basic, sizeof(basic), nullptr, p),
            ZX_ERR_INVALID_ARGS);
    }
}

CASE(maps) {
    static zx_info_maps_t maps[200];
    size_t actual;
    size_t avail;
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_PROCESS_MAPS, maps, sizeof(maps),
                                 &actual, &avail));
    EXPECT_EQ(maps[0].type, ZX_INFO_MAPS_TYPE_ASPACE);
    bool found = false;
    for (size_t i = 0; i < actual; i++) {
        found = found || (maps[i].type == ZX_INFO_MAPS_TYPE_MAPPING &&
                          (uintptr_t)maps - maps[i].base < maps[i].size);
        EXPECT(maps[i].base >= maps[0].base);
        EXPECT(maps[i].base + maps[i].size <= maps[0].base + maps[0].size);
        EXPECT(i == 0 || maps[i].depth <= maps[i - 1].depth + 1); // parents come first
    }
    EXPECT(found);
    static zx_info_vmo_t vmos[200];
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_PROCESS_VMOS, vmos, sizeof(vmos),
                                 &actual, &avail));
    EXPECT(actual > 3);
    static zx_info_handle_extended_t handles[200];
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_HANDLE_TABLE, handles, sizeof(handles),
                                 &actual, &avail));
    found = false;
    for (size_t i = 0; i < actual; i++) {
        found = found || (handles[i].handle_value == zx_thread_self() &&
                          handles[i].type == ZX_OBJ_TYPE_THREAD);
    }
    EXPECT(found);
    zx_info_task_stats_t stats;
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_TASK_STATS, &stats, sizeof(stats),
                                 nullptr, nullptr));
    EXPECT(stats.mem_mapped_bytes > 0 && stats.mem_private_bytes > 0);
}

// ---- the log ----

CASE(log) {
    zx_handle_t resource = part(ZX_RSRC_SYSTEM_DEBUGLOG_BASE);
    zx_handle_t writer;
    zx_handle_t reader;
    EXPECT_OK(zx_debuglog_create(resource, 0, &writer));
    EXPECT_OK(zx_debuglog_create(resource, ZX_LOG_FLAG_READABLE, &reader));
    EXPECT_STATUS(zx_debuglog_create(resource, 1, &writer), ZX_ERR_INVALID_ARGS);
    EXPECT_CLOSE(resource);
    static union {
        zx_log_record_t record;
        uint8_t bytes[ZX_LOG_RECORD_MAX];
    } buffer;
    const zx_log_record_t* record = &buffer.record;
    EXPECT_STATUS(zx_debuglog_read(writer, 0, &buffer, sizeof(buffer)), ZX_ERR_ACCESS_DENIED);
    EXPECT_OK(zx_debuglog_write(writer, 0, "conformance test", 16));
    bool found = false;
    for (uint32_t i = 0; i < 10000 && !found; i++) {
        zx_status_t got = zx_debuglog_read(reader, 0, &buffer, sizeof(buffer));
        if (got < 0) {
            EXPECT_STATUS(got, ZX_ERR_SHOULD_WAIT);
            break;
        }
        found = record->datalen == 16 && memcmp(record->data, "conformance test", 16) == 0;
    }
    EXPECT(found);
    EXPECT_EQ(record->pid, utest_koid(zx_process_self()));
    EXPECT_STATUS(zx_debuglog_write(writer, 1, "x", 1), ZX_ERR_INVALID_ARGS);
    FOR_BAD_POINTERS(p, UTEST_READ, 16) {
        EXPECT_STATUS(zx_debuglog_write(writer, 0, p, 16), ZX_ERR_INVALID_ARGS);
    }
    EXPECT_CLOSE(writer);
    EXPECT_CLOSE(reader);
}
