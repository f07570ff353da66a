// The buddy. Contract and locking in pmm_zone.h.
#include "pmm_zone.h"

#include <lib/align.h>
#include <lib/assert.h>
#include <lib/bits.h>
#include <lib/compiler.h>

static void block_push(struct pmm_zone* z, struct page* p, uint32_t order) {
    p->state = PAGE_FREE;
    p->order = (uint8_t)order;
    p->u.buddy.prev = nullptr;
    p->next = z->free[order];
    if (p->next != nullptr) {
        p->next->u.buddy.prev = p;
    }
    z->free[order] = p;
    z->nonempty |= bit(order);
    z->pages += bit(order);
}

static void block_remove(struct pmm_zone* z, struct page* p) {
    uint32_t order = p->order;
    if (p->u.buddy.prev != nullptr) {
        p->u.buddy.prev->next = p->next;
    } else {
        z->free[order] = p->next;
        if (p->next == nullptr) {
            z->nonempty &= ~bit(order);
        }
    }
    if (p->next != nullptr) {
        p->next->u.buddy.prev = p->u.buddy.prev;
    }
    p->state = PAGE_NONE;
    p->next = nullptr;
    p->u.buddy.prev = nullptr;
    z->pages -= bit(order);
}

struct page* zone_alloc(struct pmm_zone* z, uint32_t order) {
    if (order >= ZONE_ORDERS) {
        return nullptr;
    }
    uint64_t fitting = z->nonempty & ~(bit(order) - 1);
    if (fitting == 0) {
        return nullptr;
    }
    uint32_t at = bit_lowest(fitting);
    struct page* p = z->free[at];
    block_remove(z, p);
    while (at > order) {
        at--;
        block_push(z, p + bit(at), at);
    }
    return p;
}

static void block_free(struct pmm_zone* z, struct page* p, uint32_t order) {
    uint64_t frame = page_frame(p);
    while (order < ZONE_ORDERS - 1) {
        uint64_t buddy_frame = frame ^ bit(order);
        struct page* buddy = frame_page(buddy_frame);
        if (!frame_is_backed(buddy_frame) || buddy->state != PAGE_FREE || buddy->order != order) {
            break;
        }
        block_remove(z, buddy);
        frame &= ~bit(order);
        order++;
    }
    block_push(z, frame_page(frame), order);
}

void zone_free_run(struct pmm_zone* z, struct page* p, uint64_t count) {
    while (count > 0) {
        uint64_t frame = page_frame(p);
        uint32_t order = bit_highest(count);
        if (frame != 0) {
            order = min(order, (uint32_t)bit_lowest(frame));
        }
        order = min(order, ZONE_ORDERS - 1);
        block_free(z, p, order);
        p += bit(order);
        count -= bit(order);
    }
}

// Free blocks are looked at from the largest down, and no more than this many: the lock is held.
constexpr uint32_t RUN_SEARCH_MAX = 512;

// How many frames from `start`, inside the free block at `block`, are free in one piece.
static uint64_t run_length(const struct page* block, uint64_t start, uint64_t wanted) {
    uint64_t end = page_frame(block) + bit(block->order);
    while (end - start < wanted && end != ZONE_BORDER && frame_is_backed(end) &&
           frame_page(end)->state == PAGE_FREE) {
        end += bit(frame_page(end)->order);
    }
    return end - start;
}

struct page* zone_alloc_run(struct pmm_zone* z, uint64_t count, uint32_t align_order) {
    uint32_t looked = 0;
    for (uint32_t order = ZONE_ORDERS; order-- > 0;) {
        for (struct page* block = z->free[order]; block != nullptr; block = block->next) {
            if (++looked > RUN_SEARCH_MAX) {
                return nullptr;
            }
            uint64_t first = page_frame(block);
            uint64_t start = align_up(first, bit(align_order));
            if (start >= first + bit(order) || run_length(block, start, count) < count) {
                continue;
            }
            // Everything up to the end of the last block leaves the lists, the rest comes back.
            uint64_t end = first;
            while (end < start + count) {
                uint64_t next = end + bit(frame_page(end)->order);
                block_remove(z, frame_page(end));
                end = next;
            }
            zone_free_run(z, block, start - first);
            zone_free_run(z, frame_page(start + count), end - start - count);
            return frame_page(start);
        }
    }
    return nullptr;
}
