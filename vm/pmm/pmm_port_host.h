// Host tests: the test sets the CPU; there is no concurrency.
#pragma once

#include <string.h>

#include <lib/types.h>

constexpr uint32_t CPU_MAX = 4;
typedef uint64_t irq_state_t;

extern uint32_t host_cpu;
extern bool host_locked;
extern bool host_is_program;
extern uint64_t host_fail_in; // the n-th call of port_injected() from now says true
void host_lock_check(bool want);

static inline irq_state_t port_cpu_enter(uint32_t* cpu) {
    *cpu = host_cpu;
    return 0;
}
static inline void port_cpu_leave(irq_state_t state) {
    (void)state;
}
static inline irq_state_t port_lock(void) {
    host_lock_check(false);
    host_locked = true;
    return 0;
}
static inline void port_unlock(irq_state_t state) {
    (void)state;
    host_lock_check(true);
    host_locked = false;
}
static inline bool port_is_program(void) {
    return host_is_program;
}
void port_map_array_page(void* at, paddr_t pa, paddr_t (*table)(void));
static inline void port_on_every_cpu(void (*fn)(void*), void* arg) {
    uint32_t here = host_cpu;
    for (host_cpu = 0; host_cpu < CPU_MAX; host_cpu++) {
        fn(arg);
    }
    host_cpu = here;
}
static inline bool port_injected(void) {
    return host_fail_in != 0 && --host_fail_in == 0;
}
