// The table of threads: tid = generation, then index + 1 in the lower INDEX_BITS bits, less than
// 2^29 in all (musl keeps tids in 30 bits of a lock word). The first thread has tid 1.
//
// Chunks of records are mapped when needed and stay. One lock for taking and giving back; finding
// takes none, because records are never freed and hold their tid.
#include "table.h"

#include <zircon/syscalls.h>

#include <libc/lock.h>
#include <libc/operations.h>
#include <libc/thread.h>
#include <libc/thread_block.h>
#include <libc/thread_main.h>

constexpr uint32_t INDEX_BITS = 14;
constexpr uint32_t GENERATION_MASK = (1u << 15) - 1;
constexpr uint32_t CHUNK = 128;
constexpr uint32_t CHUNKS = (1u << INDEX_BITS) / CHUNK;

static struct {
    struct libc_lock lock;
    struct thread_record main;
    uintptr_t first_frame;      // never changes
    uint32_t used;              // indices below it have a record; lock
    struct thread_record* free; // lock
    _Atomic(struct thread_record*) chunks[CHUNKS];
} table = {.used = 1};

static int tid_of(const struct thread_record* record) {
    return (int)((record->generation & GENERATION_MASK) << INDEX_BITS | (record->index + 1));
}

uintptr_t thread_first_frame(void) {
    return table.first_frame;
}

struct thread_record* thread_main_record(zx_handle_t thread, uintptr_t frame) {
    struct thread_record* record = &table.main;
    table.first_frame = frame;
    record->tid = tid_of(record);
    record->handle = thread;
    return record;
}

// A record that no thread had yet. The caller has the lock.
static struct thread_record* fresh_record(void) {
    uint32_t index = table.used;
    // The last index would make a tid's lower bits 0.
    if (index >= (1u << INDEX_BITS) - 1) {
        return nullptr;
    }
    struct thread_record* chunk = table.chunks[index / CHUNK];
    if (chunk == nullptr) {
        long address = sys_mmap(0, CHUNK * sizeof(*chunk), ABI_PROT_READ | ABI_PROT_WRITE,
                                ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS, -1, 0);
        if (address < 0) {
            return nullptr;
        }
        chunk = (struct thread_record*)address;
        table.chunks[index / CHUNK] = chunk;
    }
    table.used++;
    struct thread_record* record = &chunk[index % CHUNK];
    record->index = index;
    return record;
}

struct thread_record* thread_table_take(void) {
    libc_lock_acquire(&table.lock);
    struct thread_record* record = table.free;
    if (record != nullptr) {
        table.free = record->next_free;
    } else {
        record = fresh_record();
    }
    if (record != nullptr) {
        record->inside = 0;
        record->alternate_size = 0;
        record->clear_at_exit = nullptr;
        record->blocked_on = nullptr;
        record->is_interrupted = false;
        record->signals_blocked = UINT64_MAX; // until musl has set what it inherits
        record->signals_awaited = 0;
        record->signals_pending = 0;
        record->tid = tid_of(record);
    }
    libc_lock_release(&table.lock);
    return record;
}

void thread_table_give(struct thread_record* record) {
    libc_lock_acquire(&table.lock);
    record->tid = 0;
    zx_handle_t wake = atomic_exchange(&record->wake, ZX_HANDLE_INVALID);
    if (wake != ZX_HANDLE_INVALID) {
        (void)zx_handle_close(wake);
    }
    // The lock is released in the caller's name: the handle must be open until then, and is. But
    // what is counted from now on is no longer the record's, which may be another thread's at once.
    if (thread_block_self()->record == record) {
        static struct thread_record nobody;
        thread_block_self()->record = &nobody;
    }
    if (record != &table.main) {
        record->generation++;
        record->next_free = table.free;
        table.free = record;
    }
    libc_lock_release(&table.lock);
}

struct thread_record* thread_at(uint32_t index) {
    if (index >= (1u << INDEX_BITS)) {
        return nullptr;
    }
    struct thread_record* chunk = table.chunks[index / CHUNK];
    return index == 0 ? &table.main : chunk != nullptr ? &chunk[index % CHUNK] : nullptr;
}

struct thread_record* thread_table_find(int tid) {
    struct thread_record* record = thread_at(((uint32_t)tid & ((1u << INDEX_BITS) - 1)) - 1);
    return record != nullptr && record->tid == tid ? record : nullptr;
}

struct thread_record* thread_with(int tid) {
    return tid > 0 ? thread_table_find(tid) : nullptr;
}

zx_handle_t thread_duplicate_handle(struct thread_record* record) {
    zx_handle_t copy = ZX_HANDLE_INVALID;
    // A thread that ends gives up its tid under this lock, and closes its handle then.
    libc_lock_acquire(&table.lock);
    if (record->tid == 0 ||
        zx_handle_duplicate(record->handle, ZX_RIGHT_SAME_RIGHTS, &copy) != ZX_OK) {
        copy = ZX_HANDLE_INVALID;
    }
    libc_lock_release(&table.lock);
    return copy;
}

bool thread_table_wake(struct thread_record* record, int tid) {
    libc_lock_acquire(&table.lock);
    bool is_there = record->tid == tid;
    zx_handle_t wake = is_there ? record->wake : ZX_HANDLE_INVALID;
    if (wake != ZX_HANDLE_INVALID) {
        (void)zx_object_signal(wake, 0, THREAD_WAKE_SIGNAL);
    }
    libc_lock_release(&table.lock);
    return is_there;
}

zx_handle_t thread_handle_of(int tid) {
    struct thread_record* record = thread_table_find(tid);
    return record != nullptr ? record->handle : ZX_HANDLE_INVALID;
}
