// The command dispatcher, the commands of the kernel core, drains and counters.
#include <debug/command.h>

#include <arch/cpu.h>
#include <debug/counters.h>
#include <debug/ktest.h>
#include <debug/log.h>
#include <debug/panic.h>
#include <lib/string.h>
#include <sched/deferred.h>
#include <sched/thread.h>

extern const struct kcommand __kcommands_start[], __kcommands_end[];
extern const struct kdrain __kdrains_start[], __kdrains_end[];
extern const struct counter_desc __counters_start[], __counters_end[];

constexpr int WORD_MAX = 16;

status_t kcommand_run(const char* text, size_t length) {
    struct text_span rest = {text, length};
    struct text_span argv[WORD_MAX];
    int argc = 0;
    while (argc < WORD_MAX && parse_next_word(&rest, &argv[argc])) {
        argc++;
    }
    if (argc == 0) {
        return STATUS_INVALID_ARGS;
    }
    for (const struct kcommand* c = __kcommands_start; c < __kcommands_end; c++) {
        if (text_span_equals(argv[0], c->name)) {
            return c->fn(argc, argv) == 0 ? STATUS_OK : STATUS_INTERNAL;
        }
    }
    kprintf("k: no command '%.*s'; try `k help`\n", (int)argv[0].len, argv[0].data);
    return STATUS_NOT_FOUND;
}

static int help(int, const struct text_span*) {
    for (const struct kcommand* c = __kcommands_start; c < __kcommands_end; c++) {
        kprintf("  %-11s %s\n", c->name, c->help);
    }
    return 0;
}
KCOMMAND("help", "this list", help);

static int threads(int, const struct text_span*) {
    thread_dump_all(kprintf);
    return 0;
}
KCOMMAND("threads", "all threads: CPU, priority, state, time, switches", threads);

// ---- drains ----

// Somebody who runs may be about to give something back: a thread on its way out, a server that has
// just been told that its client is gone. Whoever computes for ever is not waited for.
static void wait_quiet(int64_t deadline_ns) {
    constexpr int64_t LOOK_AGAIN_NS = 200'000;
    for (int64_t now; !sched_is_quiet() && (now = clock_monotonic_ns()) < deadline_ns;) {
        status_t status = thread_sleep_until(now + LOOK_AGAIN_NS, WAIT_UNINTERRUPTIBLE);
        ASSERT(status == STATUS_OK);
    }
}

// What one round frees may tell others, who free more in turn: until two rounds end alike.
static void drain_epochs(void) {
    constexpr int ROUNDS_MAX = 16;
    constexpr int64_t QUIET_NS = 1'000'000'000;
    int64_t deadline = clock_monotonic_ns() + QUIET_NS;
    uint64_t last[KGAUGE_MAX] = {};
    for (int round = 0; round < ROUNDS_MAX; round++) {
        wait_quiet(deadline);
        worker_drain();
        epoch_synchronize();
        uint64_t now[KGAUGE_MAX];
        kgauges_read(now);
        if (round > 0 && kgauges_equal(last, now)) {
            return;
        }
        __builtin_memcpy(last, now, sizeof(last));
    }
}
KDRAIN(KDRAIN_EPOCHS, drain_epochs);

void kdrain_all(void) {
    uint64_t done = 0; // orders below this have run
    for (;;) {
        const struct kdrain* next = nullptr;
        for (const struct kdrain* d = __kdrains_start; d < __kdrains_end; d++) {
            if (d->order >= done && (next == nullptr || d->order < next->order)) {
                next = d;
            }
        }
        if (next == nullptr) {
            return;
        }
        for (const struct kdrain* d = __kdrains_start; d < __kdrains_end; d++) {
            if (d->order == next->order) {
                d->fn();
            }
        }
        done = next->order + 1;
    }
}

static int drain(int, const struct text_span*) {
    kdrain_all();
    ktest_print_gauges();
    return 0;
}
KCOMMAND("drain", "give back everything that is only cached, then show the gauges", drain);

// ---- counters ----

uint64_t counter_read(const struct counter* c) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < CPU_MAX; i++) {
        sum += atomic_load_explicit(&c->slots[i], memory_order_relaxed);
    }
    return sum;
}

static int counters(int, const struct text_span*) {
    for (const struct counter_desc* d = __counters_start; d < __counters_end; d++) {
        kprintf("%12lu %s\n", (unsigned long)counter_read(d->counter), d->name);
    }
    kprintf("%12lu context_switches\n", (unsigned long)sched_context_switches());
    return 0;
}
KCOMMAND("counters", "kernel counters", counters);

// ---- ways to die, for tests of the reports ----

// Not a tail call, not optimised away: every level needs its frame.
static NOINLINE int fall(volatile int* depth) {
    if (*depth < 0) {
        return 0; // never: only so that the compiler does not see a loop without end
    }
    volatile char room[256];
    room[0] = (char)*depth;
    (*depth)++;
    int below = fall(depth);
    return below + room[0];
}

static int crash(int argc, const struct text_span* argv) {
    volatile int depth = 0;
    if (argc == 2 && text_span_equals(argv[1], "stack")) {
        return fall(&depth);
    }
    if (argc == 2 && text_span_equals(argv[1], "null")) {
        *(volatile int*)8 = depth;
        return 1;
    }
    if (argc == 2 && text_span_equals(argv[1], "assert")) {
        ASSERT(depth != 0);
    }
    if (argc == 2 && text_span_equals(argv[1], "panic")) {
        panic("asked for");
    }
    kprintf("usage: k crash stack|null|assert|panic\n");
    return 1;
}
KCOMMAND("crash", "stack|null|assert|panic: end the kernel that way", crash);

static int log_tail(int, const struct text_span*) {
    struct log_record r;
    for (uint64_t from = 0; log_read(from, &r); from = r.sequence + 1) {
        for (size_t i = 0; i < r.length; i++) {
            r.data[i] = r.data[i] != '\0' ? r.data[i] : '?';
        }
        text_make_printable(r.data, r.length);
        kprintf("%8lu %10ld us  %.*s\n", (unsigned long)r.sequence, (long)(r.time_ns / 1000),
                (int)r.length, r.data);
    }
    return 0;
}
KCOMMAND("log", "the log ring", log_tail);
