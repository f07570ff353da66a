// The log ring, counters, the command dispatcher.
#include <debug/ktest.h>

#include <stdatomic.h>

#include <arch/cpu.h>
#include <debug/command.h>
#include <debug/counters.h>
#include <debug/log.h>
#include <lib/bits.h>
#include <lib/string.h>
#include <sched/thread.h>

static void log_keeps_records_in_order(struct ktest* t) {
    uint64_t from = log_next_sequence();
    for (int i = 0; i < 5; i++) {
        klog(LOG_TRACE, "ktest record %d", i); // below what the console shows
    }
    struct log_record r;
    uint32_t found = 0;
    for (uint64_t next = from; found < 5 && log_read(next, &r); next = r.sequence + 1) {
        if (r.length == 14 && memcmp(r.data, "ktest record ", 13) == 0) {
            KEXPECT_EQ(t, r.data[13], (char)('0' + found));
            KEXPECT_EQ(t, r.severity, LOG_TRACE);
            KEXPECT_EQ(t, r.thread_koid, thread_current()->tid);
            found++;
        }
    }
    KEXPECT_EQ(t, found, 5u);
    KEXPECT(t, !log_read(log_next_sequence() + 1000, &r));
}
KTEST(log, log_keeps_records_in_order);

static void log_overwrites_the_oldest(struct ktest* t) {
    uint64_t from = log_next_sequence();
    char text[LOG_DATA_MAX + 50];
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < 700; i++) {
        log_write(LOG_TRACE, 7, 11, 13, text, sizeof(text));
    }
    struct log_record r;
    KASSERT(t, log_read(from, &r));
    KEXPECT(t, r.sequence > from); // the gap tells the reader how many it missed
    KEXPECT_EQ(t, (size_t)r.length, LOG_DATA_MAX);
    KEXPECT_EQ(t, r.flags, 7);
    KEXPECT_EQ(t, r.process_koid, 11ul);
    KEXPECT_EQ(t, r.thread_koid, 13ul);
    uint64_t before = r.sequence;
    while (log_read(r.sequence + 1, &r)) {
        KEXPECT_EQ(t, r.sequence, before + 1);
        before = r.sequence;
    }
}
KTEST(log, log_overwrites_the_oldest);

COUNTER(ktest_counter);

static void count_here(void* arg) {
    counter_add(arg, 3);
}

static void counters_sum_over_cpus(struct ktest* t) {
    uint64_t before = counter_read(&ktest_counter);
    for (int i = 0; i < 10; i++) {
        arch_call_on(arch_cpus_online(), count_here, &ktest_counter);
    }
    KEXPECT_EQ(t, counter_read(&ktest_counter) - before, 30ul * bit_count(arch_cpus_online()));
}
KTEST(log, counters_sum_over_cpus);

static _Atomic(uint32_t) last_argc;

static int probe_command(int argc, const struct text_span* argv) {
    atomic_store(&last_argc, (uint32_t)argc);
    return argc == 3 && text_span_equals(argv[2], "two words") ? 0 : 1;
}
KCOMMAND("ktest-probe", "for the dispatcher's own test", probe_command);

static status_t run(const char* line) {
    return kcommand_run(line, strlen(line));
}

static void commands_are_dispatched(struct ktest* t) {
    KEXPECT_EQ(t, run("ktest-probe one \"two words\""), STATUS_OK);
    KEXPECT_EQ(t, atomic_load(&last_argc), 3u);
    KEXPECT_EQ(t, run("  ktest-probe  "), STATUS_INTERNAL);
    KEXPECT_EQ(t, atomic_load(&last_argc), 1u);
    KEXPECT_EQ(t, run(""), STATUS_INVALID_ARGS);
    KEXPECT_EQ(t, run("ktest-prob"), STATUS_NOT_FOUND);
    // More words than there is room for: the rest is not looked at.
    KEXPECT_EQ(t, run("ktest-probe 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"), STATUS_INTERNAL);
    KEXPECT_EQ(t, atomic_load(&last_argc), 16u);
}
KTEST(log, commands_are_dispatched);
