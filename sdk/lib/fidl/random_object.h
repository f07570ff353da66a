// Objects made of random choices, by description: every kind, every length up to the limit, every
// member present or not. Their handles are fakes of the type and with the rights that are asked
// for.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <fidl/message.h>

struct random_maker {
    uint64_t state;  // of the generator; the seed
    uint8_t* memory; // where objects go; aligned to 8
    size_t capacity;
    size_t used;
};

uint64_t random_next(struct random_maker* r, uint64_t bound); // less than `bound`
void* random_object(struct random_maker* r, const struct fidl_type* t);

// What zx_channel_write_etc and zx_channel_read_etc would make of an encoder's handles.
uint32_t random_transfer(const struct fidl_encoder* e, zx_handle_info_t* out);
