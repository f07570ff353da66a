// A storm of switches between processes: `bench storm ROUNDS`.
//
// Eight partners, each with memory full of a pattern of its own, answer calls from eight threads;
// at every call a partner checks a page of its memory and its floating-point registers' last value,
// so that a wrong page table or register file shows at once. Prints how often the kernel switched.

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jacinth/startup.h>
#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/syscalls/resource.h>

#include "bench.h"

constexpr size_t PARTNERS = 8;
constexpr size_t PAGES = 16;
constexpr size_t WORDS_PER_PAGE = 4096 / sizeof(uint64_t);

struct question {
    zx_txid_t txid;
    uint32_t round;
    uint64_t seed; // of the partner's pattern, on the first round
};

static uint64_t canary[PAGES][WORDS_PER_PAGE];

static uint64_t pattern(uint64_t seed, size_t page, size_t word) {
    uint64_t x = seed + page * 0x9e3779b97f4a7c15u + word;
    x ^= x >> 31;
    return x * 0xbf58476d1ce4e5b9u;
}

static bool page_intact(uint64_t seed, size_t page) {
    for (size_t i = 0; i < WORDS_PER_PAGE; i++) {
        if (canary[page][i] != pattern(seed, page, i)) {
            return false;
        }
    }
    return true;
}

// The partner: answers with round + 1, or with 0 when something of its own is not as it left it.
void storm_serve(zx_handle_t channel) {
    uint64_t seed = 0;
    volatile double sum = 0;
    double expected = 0;
    for (;;) {
        zx_signals_t observed;
        (void)zx_object_wait_one(channel, ZX_CHANNEL_READABLE | ZX_CHANNEL_PEER_CLOSED,
                                 ZX_TIME_INFINITE, &observed);
        struct question q;
        uint32_t bytes;
        if (zx_channel_read(channel, 0, &q, nullptr, sizeof(q), 0, &bytes, nullptr) != ZX_OK) {
            return;
        }
        if (q.round == 0) {
            seed = q.seed;
            for (size_t i = 0; i < PAGES * WORDS_PER_PAGE; i++) {
                canary[i / WORDS_PER_PAGE][i % WORDS_PER_PAGE] =
                    pattern(seed, i / WORDS_PER_PAGE, i % WORDS_PER_PAGE);
            }
        }
        bool intact = seed == q.seed && page_intact(seed, q.round % PAGES) && sum == expected;
        sum = sum + (double)q.round * 0.5;
        expected += (double)q.round * 0.5;
        q.round = intact ? q.round + 1 : 0;
        (void)zx_channel_write(channel, 0, &q, bytes, nullptr, 0);
    }
}

static struct {
    uint32_t rounds;
    zx_handle_t channels[PARTNERS];
    _Atomic(uint32_t) broken;
} storm;

static void caller(uintptr_t index) {
    for (uint32_t round = 0; round < storm.rounds; round++) {
        struct question q = {.round = round, .seed = index * 1'000'003 + 1};
        struct question answer = {};
        zx_channel_call_args_t args = {.wr_bytes = &q,
                                       .rd_bytes = &answer,
                                       .wr_num_bytes = sizeof(q),
                                       .rd_num_bytes = sizeof(answer)};
        uint32_t bytes;
        uint32_t handles;
        zx_status_t status =
            zx_channel_call(storm.channels[index], 0, ZX_TIME_INFINITE, &args, &bytes, &handles);
        if (status != ZX_OK || answer.round != round + 1) {
            atomic_fetch_add(&storm.broken, 1);
            return;
        }
    }
}

static uint64_t switches(zx_handle_t info) {
    zx_info_cpu_stats_t cpus[64];
    size_t count;
    bench_check(zx_object_get_info(info, ZX_INFO_CPU_STATS, cpus, sizeof(cpus), &count, nullptr),
                "cpu stats");
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += cpus[i].context_switches;
    }
    return sum;
}

int bench_storm(uint32_t rounds) {
    zx_handle_t info;
    zx_handle_t processes[PARTNERS];
    zx_handle_t threads[PARTNERS];
    zx_handle_t system = zx_take_startup_handle(PA_HND(PA_SYSTEM_RESOURCE, 0));
    bench_check(zx_resource_create(system, ZX_RSRC_KIND_SYSTEM, ZX_RSRC_SYSTEM_INFO_BASE, 1, "info",
                                   4, &info),
                "info resource");
    storm.rounds = rounds;
    for (size_t i = 0; i < PARTNERS; i++) {
        storm.channels[i] = bench_partner("canary", &processes[i]);
    }
    uint64_t before = switches(info);
    for (size_t i = 0; i < PARTNERS; i++) {
        threads[i] = bench_thread(caller, i);
    }
    for (size_t i = 0; i < PARTNERS; i++) {
        bench_join(threads[i]);
    }
    uint64_t after = switches(info);
    for (size_t i = 0; i < PARTNERS; i++) {
        bench_check(zx_handle_close(storm.channels[i]), "close");
        bench_check(
            zx_object_wait_one(processes[i], ZX_PROCESS_TERMINATED, ZX_TIME_INFINITE, nullptr),
            "partner's end");
        bench_check(zx_handle_close(processes[i]), "close");
    }
    uint32_t broken = atomic_load(&storm.broken);
    printf("storm: %llu switches, %u broken\n", (unsigned long long)(after - before), broken);
    return broken == 0 ? 0 : 1;
}
