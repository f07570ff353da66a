// Channels: two ends, each with a queue of messages that arrived for it. Messages move whole,
// handles move with them.
//
// Three ways for a message to reach the other end, in this order:
//   1. it answers a call that waits there (first word = transaction id >= 2^31): straight to the
//   caller, never queued;
//   2. a thread waits there for the next message (reply-and-wait): straight to that thread;
//   3. the queue, and READABLE.
// In 1 and 2 the receiver's thread is woken with the message in its hands; when the sender is about
// to block, the CPU goes straight to it. A small message without handles then needs no memory of
// its own: it is copied from the sender's buffer into the receiver's `struct channel_waiter`.
#pragma once

#include <zircon/types.h>

#include <object/message.h>
#include <object/object.h>

struct channel;

// The largest message that goes straight into a waiter.
constexpr uint32_t CHANNEL_SMALL_BYTES = 192;

// A thread that waits for one message. It lives in the thread's object, so that a call survives the
// trip to user mode that a suspension takes.
struct channel_waiter {
    struct waiter waiter;    // node: in the end's `callers` or `readers`; under the pair's lock
    struct message* message; // while small_bytes says so: set by whoever claims with OK; then the
                             // waiter's thread owns it
    struct channel* channel; // the end it waits on, with a reference, while a call is under way;
                             // the thread's own
    zx_txid_t txid;          // calls
    uint32_t room;           // bytes that `small` may be given; 0: it takes none
    uint32_t small_bytes;    // in `small`; CHANNEL_LONG: it is in `message`
    alignas(8) uint8_t small[CHANNEL_SMALL_BYTES]; // written under the pair's lock
};

// In small_bytes: more than any message has.
constexpr uint32_t CHANNEL_LONG = UINT32_MAX;

ALWAYS_INLINE void channel_waiter_set(struct channel_waiter* w, struct message* m) {
    w->message = m;
    w->small_bytes = CHANNEL_LONG;
}
// Once it was claimed with OK. Null: the message is in `small`.
ALWAYS_INLINE struct message* channel_waiter_message(const struct channel_waiter* w) {
    return w->small_bytes == CHANNEL_LONG ? w->message : nullptr;
}

// A waiter for a small message or another, none under way.
ALWAYS_INLINE void channel_waiter_init(struct channel_waiter* w, uint32_t max_bytes) {
    waiter_init(&w->waiter);
    w->room = max_bytes < CHANNEL_SMALL_BYTES ? max_bytes : CHANNEL_SMALL_BYTES;
}

// Two ends with one reference each. NO_MEMORY.
status_t channel_create(struct channel** a, struct channel** b);
[[nodiscard]] struct channel* channel_from_object(struct object* o);
// A channel begins with its object (channel.c asserts it).
static inline struct object* channel_object(struct channel* c) {
    return (struct object*)(void*)c;
}

// Takes the message on success. PEER_CLOSED, or NO_RESOURCES when the other end's queue is full:
// the caller frees it.
status_t channel_write(struct channel* c, struct message* m);

// Takes the first message if its sizes fit. BUFFER_TOO_SMALL: sizes in *bytes, *handles; the
// message stays, or is taken and freed if `discard`. SHOULD_WAIT, PEER_CLOSED.
status_t channel_read(struct channel* c, uint32_t max_bytes, uint32_t max_handles, bool discard,
                      struct message** out, uint32_t* bytes, uint32_t* handles);
// Puts a message that could not be delivered for want of memory back where it was.
void channel_unread(struct channel* c, struct message* m);

// Sends `m` (at least 4 bytes; its transaction id is overwritten) and waits for the answer on `w`,
// which channel_waiter_init() prepared. Takes the message once it is sent: on PEER_CLOSED and
// NO_RESOURCES it is the caller's. Other results: OK (the answer is in `w`), TIMED_OUT, CANCELED
// (the end's handle was closed), PEER_CLOSED with *sent, INTR_KILLED, INTR_RETRY: the call is still
// under way and channel_call_resume() continues it.
status_t channel_call(struct channel* c, struct message* m, int64_t deadline_ns,
                      struct channel_waiter* w, bool* sent);
status_t channel_call_resume(struct channel_waiter* w, int64_t deadline_ns);
// A thread that ends with a call under way.
void channel_call_abandon(struct channel_waiter* w);

// Writes `answer` (null: none) and waits for the next message on the same end, which comes in `w`;
// one switch goes straight to the answered caller. Takes the answer unless the result is
// PEER_CLOSED or NO_RESOURCES with *sent false.
status_t channel_reply_wait(struct channel* c, struct message* answer, int64_t deadline_ns,
                            struct channel_waiter* w, bool* sent);

// The same three for `size` bytes of user memory and a receiver that already waits for them. NEXT:
// nothing has happened (nobody waits who takes them so, or the memory is not present): send a
// message.
status_t channel_write_small(struct channel* c, const void __user* bytes, uint32_t size);
status_t channel_call_small(struct channel* c, const void __user* bytes, uint32_t size,
                            int64_t deadline_ns, struct channel_waiter* w);
status_t channel_reply_wait_small(struct channel* c, const void __user* bytes, uint32_t size,
                                  int64_t deadline_ns, struct channel_waiter* w);
