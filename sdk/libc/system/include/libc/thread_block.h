// The thread control block that %fs points to, as far as the system layer and compiled code know
// it.
//
// musl's struct pthread begins with the same members (third_party/musl) and goes on with
// its own; the recipe compiles a comparison (sdk/libc/overlay/check).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/tls.h>

#include <libc/process_view.h>
#include <libc/thread_record.h>

struct thread_block {
    struct thread_block* self;
    uintptr_t* dtv;               // musl's
    uintptr_t canary;             // where clang's Fuchsia target looks
    void* unsafe_stack;           // for SafeStack, which is off
    struct process_view* view;    // with a reference
    uintptr_t canary_copy;        // where the distribution's builtins look
    struct thread_record* record; // never null
};
static_assert(offsetof(struct thread_block, canary) == ZX_TLS_STACK_GUARD_OFFSET);
static_assert(offsetof(struct thread_block, unsafe_stack) == ZX_TLS_UNSAFE_SP_OFFSET);
static_assert(offsetof(struct thread_block, view) == 0x20);
static_assert(offsetof(struct thread_block, canary_copy) == 0x28);

#if defined(JX_USER)
static inline struct thread_block* thread_block_self(void) {
    struct thread_block* self;
    __asm__("movq %%fs:0, %0" : "=r"(self));
    return self;
}
#else
// Host tests: one for each thread.
struct thread_block* thread_block_self(void);
#endif
