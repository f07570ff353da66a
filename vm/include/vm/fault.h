// Page faults.
//
// One loop for everybody who needs a user page: the exception entry, user copies, and kernel code
// that copied with faults disabled. Each round looks up the mapping from the root VMAR, takes the
// page set's lock, lets go of the aspace lock (the mapping cannot go: PS3), finds or makes the page
// and enters the translation. What a round cannot do at once ends it with ALL locks dropped, and
// the next one starts from scratch:
//
//     DONE         the access can be repeated
//     WAIT_PAGER   a request is armed; wait killably
//     WAIT_MEMORY  an allocation failed; reclaim (<vm/reclaim.h>) may help, else NO_MEMORY
//     FAIL         NOT_FOUND: nothing mapped; ACCESS_DENIED: permission (never treated as demand);
//     OUT_OF_RANGE: beyond the VMO's end; or the pager's code
//
// Allocation in this kernel never blocks and its locks rank below the page set's, so pages, nodes
// and tables are taken when they are found to be needed instead of being prepared for every fault:
// a fault that needs none pays for none. fault_ctx keeps what one round left over for the next.
#pragma once

#include <stdint.h>

#include <arch/mmu.h>
#include <arch/upcalls.h>
#include <lib/status.h>
#include <lib/types.h>
#include <vm/page_source.h>

struct aspace;

// How many further pages that are there already a fault maps along, at most: those of the same
// aligned block.
constexpr uint32_t FAULT_AROUND_PAGES = 16;

struct fault_ctx {
    struct table_reserve tables;
    struct page_request request;
    uint32_t memory_tries; // reclaim_wait()'s
};

// Resolves one fault of `as`. May sleep (pager); INTR_KILLED if the thread is killed meanwhile. No
// lock held.
status_t vm_fault(struct aspace* as, vaddr_t va, enum fault_flags flags);
// For code that copied with faults disabled, in the current address space. INVALID_ARGS: not a user
// address or no permission; NOT_FOUND: not mapped.
status_t vm_fault_in(vaddr_t va, enum fault_flags flags);
