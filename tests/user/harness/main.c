// Chooses, runs and reports the cases.
#include <utest/utest.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/status.h>

#include "harness_priv.h"

extern const struct utest_case __start_utest_cases[];
extern const struct utest_case __stop_utest_cases[];
// A program without children has no such section.
extern const struct utest_child_entry __start_utest_children[] __attribute__((weak));
extern const struct utest_child_entry __stop_utest_children[] __attribute__((weak));

constexpr size_t REASON_MAX = 400; // a marker is at most 1,024 bytes

// The case that runs. A failing thread other than the main one writes `reason` once, guarded by
// `failed`; the main thread reads it after joining that thread.
static struct {
    void* resume[5]; // __builtin_setjmp
    const char* context;
    bool skipped;
    atomic_bool failed;
    char reason[REASON_MAX];
} now;

// ---- markers: each one call ----

static void marker(const char* format, ...) __attribute__((format(printf, 1, 2)));
static void marker(const char* format, ...) {
    char line[REASON_MAX + 200];
    line[0] = 0x1e;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + 1, sizeof(line) - 2, format, args);
    va_end(args);
    size_t len = n < (int)sizeof(line) - 2 ? (size_t)n + 1 : sizeof(line) - 2;
    line[len] = '\n';
    (void)zx_debug_write(line, len + 1);
}

// ---- checks ----

static bool claim_failure(void) {
    return !atomic_exchange_explicit(&now.failed, true, memory_order_acq_rel);
}

[[noreturn]] static void leave_case(void) {
    if (utest_thread_is_helper()) {
        zx_thread_exit();
    }
    __builtin_longjmp(now.resume, 1);
}

void utest_fail(const char* file, int line, const char* format, ...) {
    if (claim_failure()) {
        const char* slash = strrchr(file, '/');
        int n =
            snprintf(now.reason, REASON_MAX, "%s:%d: ", slash != nullptr ? slash + 1 : file, line);
        va_list args;
        va_start(args, format);
        n += vsnprintf(now.reason + n, REASON_MAX - (size_t)n, format, args);
        va_end(args);
        if (now.context != nullptr && n < (int)REASON_MAX) {
            snprintf(now.reason + n, REASON_MAX - (size_t)n, " (%s)", now.context);
        }
    }
    leave_case();
}

void utest_skip(const char* reason) {
    now.skipped = true;
    snprintf(now.reason, REASON_MAX, "%s", reason);
    leave_case();
}

void utest_context(const char* text) {
    now.context = text;
}

bool utest_failed(void) {
    return atomic_load_explicit(&now.failed, memory_order_acquire);
}

[[noreturn]] void utest_leave_failed(void) {
    leave_case();
}

void utest_check_status(const char* file, int line, const char* expression, zx_status_t got,
                        zx_status_t want) {
    if (got != want) {
        utest_fail(file, line, "%s is %s, not %s", expression, zx_status_get_string(got),
                   zx_status_get_string(want));
    }
}

void utest_check_equal(const char* file, int line, const char* expression, uint64_t got,
                       uint64_t want) {
    if (got != want) {
        utest_fail(file, line, "%s is 0x%lx, not 0x%lx", expression, got, want);
    }
}

// ---- running ----

static uint64_t open_handles(void) {
    static zx_info_process_handle_stats_t stats;
    EXPECT_OK(zx_object_get_info(zx_process_self(), ZX_INFO_PROCESS_HANDLE_STATS, &stats,
                                 sizeof(stats), nullptr, nullptr));
    uint64_t sum = 0;
    for (size_t i = 0; i < ZX_OBJ_TYPE_UPPER_BOUND; i++) {
        sum += stats.handle_count[i];
    }
    return sum;
}

static void run_counted(const struct utest_case* c) {
    uint64_t before = open_handles();
    c->run();
    now.context = nullptr;
    uint64_t after = open_handles();
    if (after != before) {
        utest_fail("handles", 0, "%lu open before the case, %lu after it", before, after);
    }
}

// Apart from what it calls: it needs nothing of its own after the jump.
static void run_guarded(const struct utest_case* c) {
    now.context = nullptr;
    now.skipped = false;
    atomic_store(&now.failed, false);
    if (__builtin_setjmp(now.resume) == 0) {
        run_counted(c);
    }
}

struct tally {
    uint32_t passed, failed, skipped;
};

static void run_case(const struct utest_case* c, struct tally* tally) {
    if (c->limit != 0) {
        marker("[test] user %s.%s start limit=%u", utest_group, c->name, c->limit);
    } else {
        marker("[test] user %s.%s start", utest_group, c->name);
    }
    zx_time_t begin = zx_clock_get_monotonic();
    run_guarded(c);
    if (now.skipped) {
        tally->skipped++;
        marker("[test] user %s.%s skip %s", utest_group, c->name, now.reason);
    } else if (utest_failed()) {
        tally->failed++;
        marker("[test] user %s.%s fail %s", utest_group, c->name, now.reason);
    } else {
        tally->passed++;
        marker("[test] user %s.%s ok %ld", utest_group, c->name, zx_clock_get_monotonic() - begin);
    }
}

// `*` and `?`.
static bool matches(const char* pattern, const char* text) {
    const char* star = nullptr;
    const char* from = nullptr;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            from = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star != nullptr) {
            pattern = star + 1;
            text = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

static bool chosen(const struct utest_case* c, int argc, char** argv) {
    char full[128];
    snprintf(full, sizeof(full), "%s.%s", utest_group, c->name);
    for (int i = 1; i < argc; i++) {
        if (matches(argv[i], full) || matches(argv[i], c->name)) {
            return true;
        }
    }
    return argc < 2;
}

static int list_cases(void) {
    for (const struct utest_case* c = __start_utest_cases; c < __stop_utest_cases; c++) {
        marker("[test] user %s.%s listed", utest_group, c->name);
    }
    marker("[tests] 0 passed, 0 failed, 0 skipped");
    return 0;
}

static int run_child(const char* name) {
    zx_handle_t channel = zx_take_startup_handle(PA_HND(PA_USER1, 0));
    for (const struct utest_child_entry* c = __start_utest_children; c < __stop_utest_children;
         c++) {
        if (strcmp(c->name, name) == 0) {
            zx_process_exit(c->run(channel));
        }
    }
    return UTEST_NO_SUCH_CHILD;
}

int main(int argc, char** argv, char**) {
    if (argc == 3 && strcmp(argv[1], UTEST_CHILD_FLAG) == 0) {
        return run_child(argv[2]);
    }
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        return list_cases();
    }
    utest_pointers_prepare();
    struct tally tally = {};
    for (const struct utest_case* c = __start_utest_cases; c < __stop_utest_cases; c++) {
        if (chosen(c, argc, argv)) {
            run_case(c, &tally);
        }
    }
    marker("[tests] %u passed, %u failed, %u skipped", tally.passed, tally.failed, tally.skipped);
    return tally.failed == 0 ? 0 : 1;
}
