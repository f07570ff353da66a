// Kernel stacks: mapped pages with unmapped ones below them, so that an overflow faults.
//
// Allocation takes a stack that this CPU or the system kept, or maps a new one; freeing never waits
// and only keeps the stack. What is kept beyond a few per CPU is unmapped by a worker, many at a
// time, with one shoot-down. The scheduler's hooks (<sched/hooks.h>) are defined here.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <lib/assert.h>
#include <lib/types.h>

// Debug code needs more: unoptimised frames and checks.
constexpr size_t KSTACK_BYTES = (kernel_debug ? 6 : 4) * PAGE_SIZE;
constexpr size_t KSTACK_STRIDE = 8 * PAGE_SIZE; // what lies below the stack is its guard

[[nodiscard]] vaddr_t kstack_alloc(void); // the top; 0: no memory
void kstack_free(vaddr_t top);            // any context; not the stack that is in use
void kstack_drain(void);                  // unmaps all that are kept; thread context

// How much of a stack was ever in use, by whoever had it: stacks are clear when they are mapped,
// and are not cleared again. 0 if `top` is no stack of this area. It stays mapped meanwhile: the
// caller sees to that.
size_t kstack_used(vaddr_t top);
size_t kstack_deepest_unmapped(void); // the most of all that were unmapped

// Whether `va` lies in the guard below some stack that was handed out.
bool kstack_is_guard(vaddr_t va);
