// The benchmark of the system: instructions per operation, row by row.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bootsvc/client.h>
#include <jacinth/startup.h>
#include <launcher/launcher.h>
#include <zircon/status.h>
#include <zircon/syscalls.h>

#include "bench.h"

void bench_report(const char* row, int64_t instructions) {
    fflush(stdout);
    char line[96];
    int n = snprintf(line, sizeof(line), "\x1e[bench] %s %lld\n", row, (long long)instructions);
    (void)zx_debug_write(line, (size_t)n);
}

void bench_check(zx_status_t status, const char* what) {
    if (status != ZX_OK) {
        printf("bench: %s: %s\n", what, zx_status_get_string(status));
        exit(1);
    }
}

int64_t bench_median(int64_t* figures, size_t count) {
    for (size_t i = 1; i < count; i++) {
        for (size_t j = i; j > 0 && figures[j] < figures[j - 1]; j--) {
            int64_t swap = figures[j];
            figures[j] = figures[j - 1];
            figures[j - 1] = swap;
        }
    }
    return figures[count / 2];
}

[[gnu::noinline]] static int64_t time_loop(void (*operation)(void* arg), void* arg) {
    zx_time_t begin = zx_clock_get_monotonic();
    for (size_t i = 0; i < BENCH_OPERATIONS; i++) {
        operation(arg);
    }
    return zx_clock_get_monotonic() - begin;
}

static void nothing(void*) {
    __asm__ volatile("");
}

int64_t bench_measure(void (*operation)(void* arg), void* arg) {
    int64_t figures[BENCH_ROUNDS];
    int64_t empty[BENCH_ROUNDS];
    operation(arg); // first touches
    for (size_t i = 0; i < BENCH_ROUNDS; i++) {
        empty[i] = time_loop(nothing, nullptr);
        figures[i] = time_loop(operation, arg);
    }
    int64_t cost = bench_median(figures, BENCH_ROUNDS) - bench_median(empty, BENCH_ROUNDS);
    return cost / (int64_t)BENCH_OPERATIONS;
}

static char** wanted; // null: all rows

bool bench_wanted(const char* row) {
    bool found = wanted == nullptr;
    for (char** w = wanted; w != nullptr && *w != nullptr; w++) {
        found = found || strcmp(*w, row) == 0;
    }
    return found;
}

void bench_row(const char* row, void (*operation)(void* arg), void* arg) {
    if (bench_wanted(row)) {
        bench_report(row, bench_measure(operation, arg));
    }
}

// ---- threads ----

constexpr size_t STACK_BYTES = 64 * 1024;

struct thread_start {
    void (*entry)(uintptr_t arg);
    uintptr_t arg;
};

static void thread_main(uintptr_t start, uintptr_t) {
    struct thread_start s = *(struct thread_start*)start;
    s.entry(s.arg);
    zx_thread_exit();
}

zx_handle_t bench_thread(void (*entry)(uintptr_t arg), uintptr_t arg) {
    zx_handle_t vmo;
    zx_handle_t thread;
    zx_vaddr_t stack;
    bench_check(zx_vmo_create(STACK_BYTES, 0, &vmo), "stack");
    bench_check(zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0,
                            STACK_BYTES, &stack),
                "map stack");
    bench_check(zx_handle_close(vmo), "close");
    // The start record lies at the top of the new stack.
    struct thread_start* start = (struct thread_start*)(stack + STACK_BYTES) - 1;
    *start = (struct thread_start){entry, arg};
    bench_check(zx_thread_create(zx_process_self(), "bench", 5, 0, &thread), "thread_create");
    zx_vaddr_t sp = ((zx_vaddr_t)start & ~(zx_vaddr_t)15) - 8;
    bench_check(zx_thread_start(thread, (zx_vaddr_t)thread_main, sp, (uintptr_t)start, 0),
                "thread_start");
    return thread;
}

void bench_join(zx_handle_t thread) {
    bench_check(zx_object_wait_one(thread, ZX_THREAD_TERMINATED, ZX_TIME_INFINITE, nullptr),
                "join");
    bench_check(zx_handle_close(thread), "close");
}

// ---- another process ----

zx_handle_t bench_partner(const char* mode, zx_handle_t* process) {
    zx_handle_t ours;
    zx_handle_t theirs;
    bench_check(zx_channel_create(0, &ours, &theirs), "channel_create");
    struct launch_vdso vdso;
    struct launch_result result = launch_vdso_init(&vdso, zx_vmo_vdso());
    bench_check(result.status, "vdso");
    struct launch_file file = {};
    bench_check(bootsvc_open(bootsvc_startup(), "bin/bench", &file.vmo, &file.len), "bin/bench");
    const char* args[] = {"bench", mode};
    struct launch_handle handles[] = {{PA_HND(PA_USER0, 0), theirs}};
    struct launch_request request = {.job = zx_job_default(),
                                     .name = "bench-partner",
                                     .file = file,
                                     .vdso = &vdso,
                                     .args = args,
                                     .arg_count = 2,
                                     .handles = handles,
                                     .handle_count = 1};
    result = launch(&request, process);
    if (result.error != LAUNCH_OK) {
        printf("bench: partner: %s\n", launch_error_text(result.error));
        exit(1);
    }
    bench_check(zx_handle_close(file.vmo), "close");
    return ours;
}

int main(int argc, char** argv, char**) {
    if (argc > 1 && bench_serve(argv[1])) {
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "storm") == 0) {
        return bench_storm((uint32_t)strtoull(argv[2], nullptr, 10));
    }
    wanted = argc > 1 ? argv + 1 : nullptr;
    bench_calls();
    bench_ipc();
    bench_threads();
    bench_memory();
    bench_processes();
    return 0;
}
