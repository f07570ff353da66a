// A kernel in miniature for the launcher's tests: handles, VMOs as arrays of bytes, regions and
// mappings as lists, one message queue. It is strict where the real one is (consumed handles,
// overlaps, bounds), counts what is alive, and can refuse any one call.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <zircon/types.h>

struct fake_mapping {
    uint64_t address, len, vmo_offset;
    zx_vm_option_t permissions;
    int vmo; // object
};

struct fake_message {
    uint8_t* bytes;
    uint32_t len;
    zx_handle_t handles[ZX_CHANNEL_MAX_MSG_HANDLES]; // values of the receiver's
    uint32_t handle_count;
};

struct fake_start {
    bool started;
    uint64_t entry, stack, arg2;
};

void fake_reset(void);
// Refuses the call with this number, from 0, counted from now; -1: none.
void fake_refuse(int call);
bool fake_refused(void); // whether that call has come
int fake_live_handles(void);
int fake_live_processes(void);

zx_handle_t fake_vmo(const void* bytes, size_t len);
zx_handle_t fake_job(void);
zx_handle_t fake_event(void);
zx_handle_t fake_channel(void);
zx_obj_type_t fake_type(zx_handle_t handle);

// What the next zx_channel_call_etc() is answered with: `len` bytes (kept, not copied; the
// transaction id is put in) and a handle, or ZX_HANDLE_INVALID. Without: PEER_CLOSED.
void fake_answer(void* bytes, uint32_t len, zx_handle_t handle);

// Or who answers all of them: with a message of at most `capacity` bytes (the transaction id is put
// in) and perhaps a handle, or with what the call is to return.
struct fake_reply {
    uint8_t* bytes;
    uint32_t capacity, len;
    zx_handle_t handle;
};
typedef zx_status_t (*fake_server_fn)(const uint8_t* request, uint32_t len,
                                      struct fake_reply* reply);
void fake_serve(fake_server_fn server);

// How many bytes the kernel has allocated since the reset, the next included.
size_t fake_memory(void);

// What the launched process looks like.
size_t fake_mappings(const struct fake_mapping** out);
const struct fake_mapping* fake_mapping_at(uint64_t address); // null: nothing is mapped there
bool fake_read(uint64_t address, void* out, size_t len);      // false: not all of it is mapped
const struct fake_message* fake_message(uint32_t index);      // null: no such message
struct fake_start fake_started(void);
