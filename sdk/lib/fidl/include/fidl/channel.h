// Methods over channels: what generated clients and servers are made of.
//
// A method is described by a constant (LIB_PROTO_METHOD_method in generated code); the functions
// here encode, write, wait, read and decode by it. Memory is the caller's: a message is made, and
// an answer is decoded, in `fidl_storage`, and what was decoded points into it.
//
// Handles: those of an object that is sent are gone from it, whatever the outcome. Those of an
// object that was decoded belong to whoever asked for it (a client: fidl_close_handles for what it
// does not want) or, of a request that is being dispatched, to the dispatcher: a handler takes the
// ones it keeps (fidl_take), the others are closed behind it.
//
// No state, no locks.
#pragma once

#include <stdint.h>

#include <fidl/message.h>
#include <fidl/types.h>
#include <zircon/types.h>

struct fidl_storage {
    void* bytes; // aligned to 8
    uint32_t capacity;
};

enum fidl_method_kind : uint8_t { FIDL_ONE_WAY, FIDL_TWO_WAY, FIDL_EVENT };

struct fidl_method {
    uint64_t ordinal;
    enum fidl_method_kind kind;
    uint8_t flags;                    // FIDL_FLEXIBLE
    const struct fidl_type* request;  // of an event: its body; null: none
    const struct fidl_type* response; // null: none
};

enum fidl_openness : uint8_t { FIDL_CLOSED, FIDL_AJAR, FIDL_OPEN };

struct fidl_protocol {
    enum fidl_openness openness;
    uint32_t count;
    const struct fidl_method* const* methods;
};

// ---- sending and calling ----

// A message that nobody answers: one-way methods and events. It never waits and never ends the
// process: SHOULD_WAIT if the other side does not read. INVALID_ARGS: `body` is not a value of its
// type. BUFFER_TOO_SMALL: the storage is.
zx_status_t fidl_send(zx_handle_t channel, const struct fidl_method* method,
                      struct fidl_storage storage, void* body);

// A request whose answer the caller will read himself; `txid` is not 0.
zx_status_t fidl_request(zx_handle_t channel, uint32_t txid, const struct fidl_method* method,
                         struct fidl_storage storage, void* body);

// Writes the request, waits for the answer and decodes it. IO_INVALID: the answer is malformed.
zx_status_t fidl_call(zx_handle_t channel, zx_time_t deadline, const struct fidl_method* method,
                      void* request, struct fidl_storage storage, void** response);

// fidl_call and fidl_result in one, for a method whose errors are zx.Status.
zx_status_t fidl_call_result(zx_handle_t channel, zx_time_t deadline,
                             const struct fidl_method* method, void* request,
                             struct fidl_storage storage, void** response);

// Of a method whose errors are zx.Status: the status that the answer carries, NOT_SUPPORTED if the
// peer does not know the method, else OK and *response is the body.
zx_status_t fidl_result(void* result, void** response);

// ---- serving ----

// Who waits for an answer. May be copied and kept, with other storage, to answer later.
struct fidl_txn {
    zx_handle_t channel; // stays the server's
    uint32_t txid;       // 0: nobody waits (any more)
    const struct fidl_method* method;
    struct fidl_storage storage;
};

// Decodes the message as one of the protocol's requests. OK: *index is the method's, message->body
// its request, and the caller calls the handler, then fidl_dispatch_end. SHOULD_WAIT: there is
// nothing to handle (an unknown method that may be ignored, answered if it wants an answer). Any
// other status: the connection must end. The handles are closed in both cases.
zx_status_t fidl_dispatch_begin(const struct fidl_protocol* protocol, struct fidl_message* message,
                                struct fidl_txn* txn, uint32_t* index);
// What the dispatch function returns when the handler returned `status`.
zx_status_t fidl_dispatch_end(struct fidl_message* message, const struct fidl_method* method,
                              zx_status_t status);

// Answers; the transaction is over whatever the outcome. NO_RESOURCES: the client does not read.
// Every status but OK means that the connection must end.
zx_status_t fidl_reply(struct fidl_txn* txn, void* response);
// Of a method with a result: as its response, or as its error (`size` bytes of it are 4).
zx_status_t fidl_reply_response(struct fidl_txn* txn, void* response);
zx_status_t fidl_reply_error(struct fidl_txn* txn, uint32_t error);

static inline zx_handle_t fidl_take(zx_handle_t* from) {
    zx_handle_t handle = *from;
    *from = ZX_HANDLE_INVALID;
    return handle;
}
