#include "wire.h"

#include <string.h>

constexpr uint8_t WIRE_MAGIC = 1;
constexpr uint8_t WIRE_V2 = 2;
constexpr uint64_t PRESENT = UINT64_MAX;
constexpr uint32_t HANDLE_PRESENT = UINT32_MAX;

static size_t padded(size_t len) {
    return (len + 7) & ~(size_t)7;
}

// ---- decoding ----

uint32_t wire_u32(const uint8_t* at) {
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t wire_u64(const uint8_t* at) {
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

bool wire_begin(struct wire_reader* r, const void* bytes, size_t len, struct wire_header* header) {
    *r = (struct wire_reader){.bytes = bytes, .len = len, .at = sizeof(*header)};
    if (len < sizeof(*header)) {
        return false;
    }
    memcpy(header, bytes, sizeof(*header));
    return header->magic == WIRE_MAGIC && (header->at_rest_flags[0] & WIRE_V2) != 0;
}

bool wire_end(const struct wire_reader* r, uint32_t handle_count) {
    return !r->bad && r->at == r->len && r->handles == handle_count;
}

const uint8_t* wire_take(struct wire_reader* r, uint64_t count, uint32_t element_size) {
    size_t left = r->len - r->at;
    if (r->bad || count > left / element_size) {
        r->bad = true;
        return nullptr;
    }
    size_t len = (size_t)count * element_size;
    size_t whole = padded(len);
    if (whole > left) {
        r->bad = true;
        return nullptr;
    }
    const uint8_t* taken = r->bytes + r->at;
    for (size_t i = len; i < whole; i++) {
        r->bad = r->bad || taken[i] != 0;
    }
    r->at += whole;
    return r->bad ? nullptr : taken;
}

uint64_t wire_vector(struct wire_reader* r, const uint8_t* at, uint64_t max) {
    uint64_t count = wire_u64(at);
    if (wire_u64(at + 8) != PRESENT || count > max) {
        r->bad = true;
        return 0;
    }
    return count;
}

void wire_handle(struct wire_reader* r, const uint8_t* at) {
    r->bad = r->bad || wire_u32(at) != HANDLE_PRESENT;
    r->handles++;
}

// ---- encoding ----

static void write_raw(struct wire_writer* w, const void* bytes, size_t len) {
    if (len > w->capacity - w->at) {
        w->full = true;
        return;
    }
    memcpy(w->bytes + w->at, bytes, len);
    w->at += len;
}

void wire_write_header(struct wire_writer* w, uint32_t txid, uint64_t ordinal) {
    struct wire_header header = {
        .txid = txid, .at_rest_flags = {WIRE_V2}, .magic = WIRE_MAGIC, .ordinal = ordinal};
    write_raw(w, &header, sizeof(header));
}

void wire_write_u32(struct wire_writer* w, uint32_t value) {
    write_raw(w, &value, sizeof(value));
}

void wire_write_handle(struct wire_writer* w, bool present) {
    wire_write_u32(w, present ? HANDLE_PRESENT : 0);
}

void wire_write_vector(struct wire_writer* w, uint64_t count) {
    uint64_t head[] = {count, PRESENT};
    write_raw(w, head, sizeof(head));
}

void wire_write_bytes(struct wire_writer* w, const void* bytes, size_t len) {
    static const uint8_t zeros[8];
    write_raw(w, bytes, len);
    write_raw(w, zeros, padded(len) - len);
}

void wire_encode_strings(struct wire_writer* w, uint64_t ordinal, const char* const* strings,
                         uint32_t count) {
    wire_write_header(w, 0, ordinal);
    wire_write_vector(w, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_write_vector(w, strlen(strings[i]));
    }
    for (uint32_t i = 0; i < count; i++) {
        wire_write_bytes(w, strings[i], strlen(strings[i]));
    }
}

void wire_encode_handles(struct wire_writer* w, const uint32_t* ids, uint32_t count) {
    wire_write_header(w, 0, LAUNCHSVC_ADD_HANDLES);
    wire_write_vector(w, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_write_handle(w, true);
        wire_write_u32(w, ids[i]);
    }
}

void wire_encode_names(struct wire_writer* w, const char* const* names, uint32_t count) {
    wire_write_header(w, 0, LAUNCHSVC_ADD_NAMES);
    wire_write_vector(w, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_write_vector(w, strlen(names[i]));
        wire_write_handle(w, true);
        wire_write_u32(w, 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        wire_write_bytes(w, names[i], strlen(names[i]));
    }
}

void wire_encode_launch(struct wire_writer* w, uint32_t txid, const char* name) {
    wire_write_header(w, txid, LAUNCHSVC_LAUNCH);
    wire_write_handle(w, true);
    wire_write_handle(w, true);
    wire_write_vector(w, strlen(name));
    wire_write_bytes(w, name, strlen(name));
}

void wire_encode_launch_reply(struct wire_writer* w, uint32_t txid, zx_status_t status,
                              bool process) {
    wire_write_header(w, txid, LAUNCHSVC_LAUNCH);
    wire_write_u32(w, (uint32_t)status);
    wire_write_handle(w, process);
}
