// How the kernel arena is divided.
#pragma once

#include <stdint.h>

#include <arch/layout.h>
#include <vm/kstack.h>

// 262,144 stacks: a bit each is all that they cost while they are not used.
constexpr uint64_t ARENA_STACKS_BASE = KERNEL_ARENA_BASE;
constexpr uint64_t ARENA_STACKS_BYTES = (uint64_t)262'144 * KSTACK_STRIDE;

// The rest: device registers and gathered pages.
constexpr uint64_t ARENA_RANGES_BASE = KERNEL_ARENA_BASE + PML4_SLOT_BYTES / 2;
constexpr uint64_t ARENA_RANGES_BYTES = PML4_SLOT_BYTES / 2;

static_assert(ARENA_STACKS_BASE + ARENA_STACKS_BYTES <= ARENA_RANGES_BASE);
