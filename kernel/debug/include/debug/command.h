// Kernel commands: `k NAME ARGS...` of the interpreter, for tests and debugging. Output goes to the
// console.
//
//     static int free_pages(int argc, const struct text_span* argv) { ... return 0; }
//     KCOMMAND("mem", "memory in use", free_pages);
//
// Beside them, the two tables that make leak checks exact: drains give back what is merely cached,
// gauges count what must come back.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <lib/compiler.h>
#include <lib/parse.h>
#include <lib/status.h>

struct kcommand {
    const char* name;
    const char* help;
    int (*fn)(int argc, const struct text_span* argv); // argv[0] is the name; 0 = success
};
#define KCOMMAND(name_, help_, fn_)                  \
    static const struct kcommand CAT(kcommand_, fn_) \
        __attribute__((used, section(".kcommands"), aligned(8))) = {name_, help_, fn_}

// Runs one line; NOT_FOUND: no such command; INTERNAL: it failed. In a thread, may sleep.
status_t kcommand_run(const char* line, size_t length);

struct kdrain {
    uint64_t order; // lower first: objects before memory
    void (*fn)(void);
};
#define KDRAIN(order_, fn_)                      \
    static const struct kdrain CAT(kdrain_, fn_) \
        __attribute__((used, section(".kdrains"), aligned(8))) = {order_, fn_}
constexpr uint64_t KDRAIN_EPOCHS =
    0; // the kernel's own: grace periods and the worker, before everything else
constexpr uint64_t KDRAIN_OBJECTS = 10;
constexpr uint64_t KDRAIN_MEMORY = 20;
constexpr uint64_t KDRAIN_PAGES = 30;
// Waits, for a limited time, until nothing but the caller runs or is being given back, then gives
// back what is cached. In a thread, sleeps.
void kdrain_all(void);

struct kgauge {
    const char* name;
    uint64_t (*fn)(void);
    bool exact; // the same after a drain whenever the same is in use: leak checks compare it
};
#define KGAUGE_(name_, fn_, exact_)              \
    static const struct kgauge CAT(kgauge_, fn_) \
        __attribute__((used, section(".kgauges"), aligned(8))) = {name_, fn_, exact_}
#define KGAUGE(name_, fn_)  KGAUGE_(name_, fn_, true)
#define KFIGURE(name_, fn_) KGAUGE_(name_, fn_, false) // shown, not compared
constexpr size_t KGAUGE_MAX = 16;
// Fills values (KGAUGE_MAX of them) in the order of the table; returns how many there are.
size_t kgauges_read(uint64_t* values);
// Whether two readings agree in everything that is exact.
bool kgauges_equal(const uint64_t* a, const uint64_t* b);
