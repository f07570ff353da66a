// For copies from and to user memory that are made with faults disabled, because a lock is held:
// the way on after one has stopped.
#pragma once

#include <lib/status.h>
#include <lib/types.h>
#include <vm/fault.h>

// Makes the user page at `va` accessible in the current address space; no lock held. INVALID_ARGS:
// the caller gave a bad pointer. INTR_KILLED, NO_MEMORY, or what the page's pager says.
status_t user_fault_resolve(vaddr_t va, enum fault_flags flags);
