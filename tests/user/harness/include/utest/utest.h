// The frame of a conformance test program: cases, checks, bad pointers, threads, child processes.
//
//     GROUP("event");
//     CASE(options) {
//         zx_handle_t event;
//         EXPECT_STATUS(zx_event_create(1, &event), ZX_ERR_INVALID_ARGS);
//     }
//
// A program that links //tests/user/harness is a test program as tests/README.md describes it. A
// check that fails ends its case; the next one runs. A case that ends well must leave as many
// handles open as it found: one more is a failure of its own.
//
// A check may fail in any thread made by utest_thread_start(): that thread then ends, and the case
// fails when it joins it. Everything else here is for the main thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/syscalls.h>
#include <zircon/syscalls/object.h>
#include <zircon/types.h>

// ---- cases ----

struct utest_case {
    const char* name;
    void (*run)(void);
    uint32_t limit; // seconds; 0: the runner's default
};

// Names the program's cases: NAME.case.
extern const char utest_group[];
#define GROUP(name)                  \
    extern const char utest_group[]; \
    const char utest_group[] = name

#define UTEST_ENTRY(section_name) \
    __attribute__((used, retain, section(section_name), aligned(sizeof(void*))))

#define CASE_WITHIN(case_name, seconds)                                             \
    static void case_##case_name(void);                                             \
    static const struct utest_case entry_##case_name UTEST_ENTRY("utest_cases") = { \
        .name = #case_name, .run = case_##case_name, .limit = (seconds)};           \
    static void case_##case_name(void)
#define CASE(case_name) CASE_WITHIN(case_name, 0)

// ---- checks ----

[[noreturn]] void utest_fail(const char* file, int line, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
// The case cannot run here.
[[noreturn]] void utest_skip(const char* reason);
// Text that is added to a failure, until the next call or the end of the case; null: none. The
// pointer is kept.
void utest_context(const char* text);

void utest_check_status(const char* file, int line, const char* expression, zx_status_t got,
                        zx_status_t want);
void utest_check_equal(const char* file, int line, const char* expression, uint64_t got,
                       uint64_t want);

#define EXPECT_STATUS(call, want) utest_check_status(__FILE__, __LINE__, #call, (call), (want))
#define EXPECT_OK(call)           EXPECT_STATUS(call, ZX_OK)
#define EXPECT_EQ(got, want) \
    utest_check_equal(__FILE__, __LINE__, #got, (uint64_t)(got), (uint64_t)(want))
#define EXPECT(condition)                                     \
    do {                                                      \
        if (!(condition)) {                                   \
            utest_fail(__FILE__, __LINE__, "%s", #condition); \
        }                                                     \
    } while (0)
#define FAIL(...) utest_fail(__FILE__, __LINE__, __VA_ARGS__)

// ---- short forms ----

#define EXPECT_CLOSE(handle) EXPECT_OK(zx_handle_close(handle))

struct utest_pair {
    zx_handle_t a, b;
};
zx_handle_t utest_event(void);
zx_handle_t utest_port(void);
zx_handle_t utest_vmo(uint64_t size);
struct utest_pair utest_channel(void);
struct utest_pair utest_eventpair(void);
void utest_close_pair(struct utest_pair pair);
// A duplicate with just these rights.
zx_handle_t utest_with_rights(zx_handle_t handle, zx_rights_t rights);
// A duplicate with all its rights but these.
zx_handle_t utest_without(zx_handle_t handle, zx_rights_t rights);
// A value that was a handle and is none any more.
zx_handle_t utest_stale_handle(void);
zx_koid_t utest_koid(zx_handle_t handle);
zx_info_handle_basic_t utest_basic(zx_handle_t handle);
// What is asserted now, among `mask`.
zx_signals_t utest_signals(zx_handle_t handle, zx_signals_t mask);
// A handle that the program was started with (PA_HND word); it stays the harness's.
zx_handle_t utest_startup_peek(uint32_t info);
zx_time_t utest_after_ms(int64_t ms);
void utest_sleep_ms(int64_t ms);

// ---- bad pointers ----

enum : uint32_t {
    UTEST_READ = 0,          // the call reads there
    UTEST_WRITE = 1u << 0,   // the call writes there: read-only memory is bad too
    UTEST_OR_NULL = 1u << 1, // null is allowed, and left out
};

struct utest_bad_pointers {
    uint32_t kinds;
    size_t size;
    uint32_t next;
};
// The next address at which `size` bytes cannot be accessed; false: there are no more. Names it as
// the context of checks.
bool utest_bad_pointer_next(struct utest_bad_pointers* bad, void** out);

#define FOR_BAD_POINTERS(pointer, what, bytes)                                         \
    for (struct utest_bad_pointers bad_##pointer = {.kinds = (what), .size = (bytes)}; \
         bad_##pointer.size != 0; bad_##pointer.size = 0)                              \
        for (void* pointer; utest_bad_pointer_next(&bad_##pointer, (void**)&pointer);)

// Memory of `pages` pages with nothing mapped before and behind it; the program keeps it.
void* utest_guarded_pages(size_t pages, zx_vm_option_t permissions);

// ---- threads ----

struct utest_thread {
    zx_handle_t handle;
    void (*run)(void* arg);
    void* arg;
    uintptr_t stack;
};
void utest_thread_start(struct utest_thread* t, void (*run)(void* arg), void* arg);
// Waits for its end (10 s), closes and frees it; fails if a check failed in it.
void utest_thread_join(struct utest_thread* t);
// Waits until the thread is in this state (ZX_THREAD_STATE_*), for instance blocked in a call.
void utest_thread_reach(zx_handle_t thread, zx_thread_state_t state);

// ---- child processes ----

// The program itself, started again to run one of these; its result is the return code.
struct utest_child_entry {
    const char* name;
    int64_t (*run)(zx_handle_t channel);
};
#define CHILD(child_name)                                                       \
    static int64_t child_##child_name(zx_handle_t channel);                     \
    static const struct utest_child_entry child_entry_##child_name UTEST_ENTRY( \
        "utest_children") = {.name = #child_name, .run = child_##child_name};   \
    static int64_t child_##child_name([[maybe_unused]] zx_handle_t channel)

struct utest_child {
    zx_handle_t process;
    zx_handle_t channel; // its other end is CHILD's argument
};
// `job`: ZX_HANDLE_INVALID is the program's own.
void utest_child_start(struct utest_child* c, const char* name, zx_handle_t job);
// Waits for its end (20 s), closes both handles; the return code.
int64_t utest_child_join(struct utest_child* c);
int64_t utest_child_run(const char* name);

// A process of this program that is complete and has not been started.
struct utest_prepared {
    zx_handle_t process, thread, root_vmar;
    zx_handle_t bootstrap;       // what process_start is to give it
    zx_handle_t channel;         // the other end of CHILD's argument
    zx_handle_t bootstrap_other; // the bootstrap channel's other end
    zx_vaddr_t entry, stack, vdso_base;
};
void utest_child_prepare(struct utest_prepared* p, const char* name, zx_handle_t job);
// Closes what is left in it; a process that was not started ends.
void utest_prepared_close(struct utest_prepared* p);
