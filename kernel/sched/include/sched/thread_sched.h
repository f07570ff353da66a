// The scheduler's part of struct thread. Other layers do not touch it.
//
//   [q] under the run-queue lock of `cpu` (kernel/sched/sched_priv.h, "the thread's lock")
//   [p] under the priority lock     [o] the thread's own     [a] atomic     [c] constant after
//   creation
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <arch/cpu.h>
#include <lib/heap.h>
#include <lib/list.h>
#include <locking/lock_check.h>
#include <sched/deferred.h>
#include <sched/timer.h>

struct thread;
struct queue_waiter;
struct wait_queue;
struct waiter;

struct thread_sched {
    // What a switch touches comes first.
    _Atomic(uint32_t) cpu;     // [q] whose run queue it belongs to; read by anyone
    _Atomic(uint8_t) priority; // [q] effective; read anywhere
    uint8_t wait_mode; // [o] enum wait_mode; written before it blocks, read under [q] while BLOCKED
    bool queued;       // [q] in the fair heap or a fixed-priority list
    bool migrate;      // [q] something is to be done when it is switched out: it may not run where
                       // it runs, and moves; or it has ended
    uint64_t started;  // [q] when it was last charged, in ticks of its CPU
    _Atomic(uint64_t) runtime;              // [q] ticks charged so far; read anywhere
    uint64_t vruntime;                      // [q] weighted virtual ticks
    uint64_t inverse_weight;                // [q] see fair.h
    cpu_mask_t affinity;                    // [q]
    struct waiter* waiter;                  // [o] as wait_mode
    int64_t wait_deadline_ns;               // [o] as wait_mode
    _Atomic(struct wait_queue*) waiting_in; // under that queue's lock; null: in none
    _Atomic(uint64_t) switches;             // [q] times it was switched to; read anywhere
    _Atomic(struct thread*) wake_next;      // [a] link in a wake list; null: in none
    struct heap_node heap;                  // [q] in the fair heap
    uint64_t sequence;                      // [q] order among equals in the fair heap
    struct list_node fixed;                 // [q] in a fixed-priority list

    uint8_t base_priority;          // [p]
    uint8_t inherited;              // [p] 0: nothing
    bool ended;                     // [p] can own nothing any more
    bool is_idle;                   // [c]
    struct list owned;              // [p] wait queues it owns
    struct queue_waiter* pi_waiter; // [p] its place in a queue that inherits, or null

    struct timer timer;          // its wait's deadline
    struct deferred reap;        // frees the stack
    struct epoch_item epoch;     // frees the memory
    _Atomic(uint32_t) refs;      // kernel threads: the creator's and the thread's own
    _Atomic(uintptr_t) joiner;   // [a] the struct waiter of who waits for the end, or THREAD_ENDED
    int exit_code;               // [o] before it ends
    void (*entry)(void);         // [c] user threads
    int (*fn)(void* arg);        // [c] kernel threads
    void* arg;                   // [c]
    struct list_node all;        // under the thread list's lock
    struct lock_held_list locks; // [o] debug builds: mutexes held
};
