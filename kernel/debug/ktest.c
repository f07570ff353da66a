// Runs in-kernel tests: `k ut [PATTERN]`, or kernel.ut=PATTERNS at boot.
//
// Each case gets a thread of its own, because a failed case must not take the runner's state along,
// and so that one that hangs can be named. Before and after a case everything that is only cached
// is drained and the gauges (free pages, live objects) are compared: exact, so that a leak of one
// page is a failure. A case that times out cannot be stopped; it is reported, its thread stays, and
// leak checks end there.
#include <debug/ktest.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <debug/command.h>
#include <debug/log.h>
#include <lib/string.h>
#include <sched/thread.h>

extern const struct ktest_case __ktest_start[], __ktest_end[];
extern const struct kgauge __kgauges_start[], __kgauges_end[];

struct run {
    struct ktest test;
    const struct ktest_case* c;
    struct waiter waiter;
    _Atomic(uint32_t) refs; // runner and case thread: the last one ends the use of the slot
};

struct totals {
    uint32_t passed, failed, skipped;
    bool leak_checks;
};

// One run at a time.
static struct {
    _Atomic(bool) busy;
    struct run slots[4]; // a case that timed out keeps its slot
} runner;

void ktest_fail(struct ktest* t, const char* file, int line, const char* what, uint64_t a,
                uint64_t b) {
    t->failures++;
    kprintf("  %s.%s: %s:%d: %s (0x%lx, 0x%lx)\n", t->group, t->name, file, line, what, a, b);
    if (t->failures == 1) {
        str_copy(t->reason, sizeof(t->reason), what);
    }
}

void ktest_skip(struct ktest* t, const char* reason) {
    t->skipped = reason;
}

// ---- names ----

// `*` any text, `?` any one character.
static bool matches(struct text_span pattern, const char* text) {
    size_t p = 0, star = SIZE_MAX, from = 0, i = 0;
    size_t length = strlen(text);
    while (i < length) {
        if (p < pattern.len && (pattern.data[p] == '?' || pattern.data[p] == text[i])) {
            p++;
            i++;
        } else if (p < pattern.len && pattern.data[p] == '*') {
            star = p++;
            from = i;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

static bool selected_by(struct text_span pattern, const struct ktest_case* c) {
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.data[i] == '.') {
            return matches((struct text_span){pattern.data, i}, c->group) &&
                   matches((struct text_span){pattern.data + i + 1, pattern.len - i - 1}, c->name);
        }
    }
    return text_span_equals(pattern, "all") || matches(pattern, c->group);
}

static bool selected(struct text_span patterns, const struct ktest_case* c) {
    size_t start = 0;
    for (size_t i = 0; i <= patterns.len; i++) {
        if (i == patterns.len || patterns.data[i] == ',') {
            if (selected_by((struct text_span){patterns.data + start, i - start}, c)) {
                return true;
            }
            start = i + 1;
        }
    }
    return false;
}

static int compare_names(const struct ktest_case* a, const struct ktest_case* b) {
    int group = strcmp(a->group, b->group);
    return group != 0 ? group : strcmp(a->name, b->name);
}

// The case that follows `after` in the order of names.
static const struct ktest_case* next_case(struct text_span patterns,
                                          const struct ktest_case* after) {
    const struct ktest_case* best = nullptr;
    for (const struct ktest_case* c = __ktest_start; c < __ktest_end; c++) {
        if ((after == nullptr || compare_names(c, after) > 0) &&
            (best == nullptr || compare_names(c, best) < 0) && selected(patterns, c)) {
            best = c;
        }
    }
    return best;
}

// ---- gauges ----

size_t kgauges_read(uint64_t* values) {
    size_t n = 0;
    for (const struct kgauge* g = __kgauges_start; g < __kgauges_end && n < KGAUGE_MAX; g++) {
        values[n++] = g->fn();
    }
    return n;
}

bool kgauges_equal(const uint64_t* a, const uint64_t* b) {
    size_t n = (size_t)(__kgauges_end - __kgauges_start);
    for (size_t i = 0; i < min(n, KGAUGE_MAX); i++) {
        if (__kgauges_start[i].exact && a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

void ktest_print_gauges(void) {
    uint64_t values[KGAUGE_MAX];
    size_t n = kgauges_read(values);
    for (size_t i = 0; i < n; i++) {
        kprintf("%12lu %s\n", (unsigned long)values[i], __kgauges_start[i].name);
    }
}

static void check_leaks(struct ktest* t, const uint64_t* before) {
    uint64_t after[KGAUGE_MAX];
    size_t n = kgauges_read(after);
    for (size_t i = 0; i < n; i++) {
        if (__kgauges_start[i].exact && before[i] != after[i]) {
            ktest_fail(t, "leak check", 0, __kgauges_start[i].name, before[i], after[i]);
        }
    }
}

// ---- running ----

static void release(struct run* r) {
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1) {
        r->c = nullptr;
    }
}

static int case_thread(void* arg) {
    struct run* r = arg;
    r->c->fn(&r->test);
    struct wake_list wl;
    wake_list_begin(&wl);
    wake_list_add(&wl, &r->waiter, STATUS_OK);
    wake_list_flush(&wl);
    release(r);
    return 0;
}

static struct run* claim_slot(const struct ktest_case* c) {
    for (size_t i = 0; i < array_size(runner.slots); i++) {
        struct run* r = &runner.slots[i];
        if (atomic_load_explicit(&r->refs, memory_order_acquire) == 0) {
            *r = (struct run){.c = c, .test = {.group = c->group, .name = c->name}};
            atomic_store_explicit(&r->refs, 2, memory_order_relaxed);
            return r;
        }
    }
    return nullptr;
}

// False: it did not end in time.
static bool run_case(struct run* r) {
    waiter_init(&r->waiter);
    struct thread* t = kthread_create(r->c->name, case_thread, r, PRIORITY_DEFAULT);
    if (t == nullptr) {
        ktest_fail(&r->test, __FILE_NAME__, __LINE__, "no memory for the test's thread", 0, 0);
        release(r); // the thread's
        return true;
    }
    int64_t deadline = clock_monotonic_ns() + (int64_t)r->c->timeout_ms * 1'000'000;
    thread_start(t);
    if (waiter_block(&r->waiter, deadline, WAIT_UNINTERRUPTIBLE, 0) == STATUS_OK) {
        kthread_join(t);
        return true;
    }
    kthread_detach(t);
    return false;
}

static void report(const struct ktest* t, int64_t elapsed_ns, struct totals* totals) {
    if (t->failures != 0) {
        totals->failed++;
        kprintf("\x1e[test] kernel %s.%s fail %s (%u)\n", t->group, t->name, t->reason,
                t->failures);
    } else if (t->skipped != nullptr) {
        totals->skipped++;
        kprintf("\x1e[test] kernel %s.%s skip %s\n", t->group, t->name, t->skipped);
    } else {
        totals->passed++;
        kprintf("\x1e[test] kernel %s.%s ok %ld\n", t->group, t->name, (long)elapsed_ns);
    }
}

static void run_one(const struct ktest_case* c, struct totals* totals) {
    struct run* r = claim_slot(c);
    if (r == nullptr) {
        kprintf("\x1e[test] kernel %s.%s start\n", c->group, c->name);
        kprintf("\x1e[test] kernel %s.%s skip too many earlier cases hang\n", c->group, c->name);
        totals->skipped++;
        return;
    }
    bool leak_check = totals->leak_checks && (c->flags & KTEST_LEAK_CHECK_OFF) == 0;
    uint64_t before[KGAUGE_MAX];
    if (leak_check) {
        kdrain_all();
        kgauges_read(before);
    }
    kprintf("\x1e[test] kernel %s.%s start limit=%u\n", c->group, c->name,
            c->timeout_ms / 1000 + 10);
    int64_t start = clock_monotonic_ns();
    bool ended = run_case(r);
    int64_t elapsed = clock_monotonic_ns() - start;
    if (!ended) {
        totals->leak_checks = false;
        ktest_fail(&r->test, __FILE_NAME__, __LINE__, "timed out", c->timeout_ms, 0);
        thread_dump_all(kprintf);
    } else if (leak_check) {
        kdrain_all();
        check_leaks(&r->test, before);
    }
    report(&r->test, elapsed, totals);
    release(r);
}

bool ktest_run(struct text_span patterns) {
    if (atomic_exchange_explicit(&runner.busy, true, memory_order_acquire)) {
        kprintf("tests are running already\n");
        return false;
    }
    bool list = text_span_equals(patterns, "list");
    struct text_span all = {"all", 3};
    struct totals totals = {.leak_checks = true};
    const struct ktest_case* c = nullptr;
    bool found = false;
    while ((c = next_case(list ? all : patterns, c)) != nullptr) {
        found = true;
        if (list) {
            kprintf("\x1e[test] kernel %s.%s listed\n", c->group, c->name);
        } else {
            run_one(c, &totals);
        }
    }
    if (!found) {
        kprintf("no test is named '%.*s' (GROUP or GROUP.CASE, * and ?; `list` names them)\n",
                (int)patterns.len, patterns.data);
    }
    kprintf("\x1e[tests] %u passed, %u failed, %u skipped\n", totals.passed, totals.failed,
            totals.skipped);
    atomic_store_explicit(&runner.busy, false, memory_order_release);
    return totals.failed == 0;
}

static int unit_tests(int argc, const struct text_span* argv) {
    struct text_span all = {"all", 3};
    return ktest_run(argc > 1 ? argv[1] : all) ? 0 : 1;
}
KCOMMAND("ut", "[PATTERN,...]: run in-kernel tests (list: name them)", unit_tests);
