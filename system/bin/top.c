// Which processes use the CPUs: their share since the last look, largest first.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tasks/tasks.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/time.h>

#include "tool.h"
#include "tools.h"

struct row {
    zx_koid_t koid;
    uint64_t total_ns;
    uint64_t spent_ns; // since the last look
    uint64_t private_bytes;
    char name[ZX_MAX_NAME_LEN];
};

struct table {
    struct row* rows;
    size_t count;
    size_t capacity;
    const struct table* before;
};

static uint64_t total_before(const struct table* before, zx_koid_t koid) {
    for (size_t i = 0; before != nullptr && i < before->count; i++) {
        if (before->rows[i].koid == koid) {
            return before->rows[i].total_ns;
        }
    }
    return 0;
}

static bool add_row(void* ctx, const struct task* task) {
    struct table* t = ctx;
    zx_info_task_runtime_t runtime;
    zx_info_task_stats_t stats;
    if (task->is_job ||
        zx_object_get_info(task->handle, ZX_INFO_TASK_RUNTIME, &runtime, sizeof(runtime), nullptr,
                           nullptr) != ZX_OK ||
        zx_object_get_info(task->handle, ZX_INFO_TASK_STATS, &stats, sizeof(stats), nullptr,
                           nullptr) != ZX_OK) {
        return true; // a job, or it has ended
    }
    if (t->count == t->capacity) {
        size_t capacity = t->capacity == 0 ? 32 : 2 * t->capacity;
        struct row* rows = realloc(t->rows, capacity * sizeof(*rows));
        if (rows == nullptr) {
            return false;
        }
        t->rows = rows;
        t->capacity = capacity;
    }
    struct row row = {.koid = task->koid,
                      .total_ns = (uint64_t)runtime.cpu_time,
                      .private_bytes = stats.mem_private_bytes};
    row.spent_ns = row.total_ns - total_before(t->before, row.koid);
    tool_name(task->handle, row.name);
    // Sorted as it grows: there are a few dozen.
    size_t at = t->count++;
    for (; at > 0 && t->rows[at - 1].spent_ns < row.spent_ns; at--) {
        t->rows[at] = t->rows[at - 1];
    }
    t->rows[at] = row;
    return true;
}

static void print_table(const struct table* t, uint64_t span_ns, size_t limit) {
    printf("%8s %6s %10s %8s  %s\n", "KOID", "CPU%", "CPU", "PRIVATE", "NAME");
    for (size_t i = 0; i < t->count && i < limit; i++) {
        const struct row* r = &t->rows[i];
        uint64_t permille = span_ns > 0 ? r->spent_ns * 1000 / span_ns : 0;
        printf("%8llu %4llu.%llu %8llums %7lluK  %s\n", (unsigned long long)r->koid,
               (unsigned long long)permille / 10, (unsigned long long)permille % 10,
               (unsigned long long)r->total_ns / 1'000'000,
               (unsigned long long)r->private_bytes / 1024, r->name);
    }
}

static int run(zx_handle_t root, uint64_t rounds, uint64_t delay_ms) {
    struct table before = {};
    zx_time_t last = 0; // the first look counts from the machine's start
    for (uint64_t round = 0; rounds == 0 || round < rounds; round++) {
        if (round > 0) {
            (void)zx_nanosleep(zx_deadline_after(ZX_MSEC((zx_duration_t)delay_ms)));
        }
        struct table now = {.before = &before};
        zx_time_t time = zx_clock_get_monotonic();
        zx_status_t status = tasks_walk(root, add_row, &now);
        if (status != ZX_OK) {
            return tool_failed("top", "the root job", status);
        }
        if (rounds == 0) {
            printf("\x1b[H\x1b[J");
        }
        print_table(&now, (uint64_t)(time - last), rounds == 0 ? 20 : SIZE_MAX);
        (void)fflush(stdout);
        free(before.rows);
        before = now;
        last = time;
    }
    free(before.rows);
    return 0;
}

int top_main(int argc, char** argv) {
    static const char usage[] = "top [-n ROUNDS] [-d MILLISECONDS]";
    if (tool_wants_help(argc, argv, usage)) {
        printf("100 %% is one CPU. Without -n it goes on until it is interrupted.\n");
        return 0;
    }
    uint64_t rounds = 0;
    uint64_t delay_ms = 2000;
    for (int i = 1; i < argc; i += 2) {
        bool is_rounds = strcmp(argv[i], "-n") == 0;
        if ((!is_rounds && strcmp(argv[i], "-d") != 0) || i + 1 >= argc ||
            !tool_parse_u64(argv[i + 1], is_rounds ? &rounds : &delay_ms) || delay_ms > 3'600'000) {
            return tool_bad_usage(usage);
        }
    }
    return run(tool_root_job(), rounds, delay_ms);
}
