// gdb's remote protocol: bytes to packets and back, and what packets are written in.
//
//     $PAYLOAD#SS     a packet; SS: the sum of the payload's bytes, in hexadecimal
//     + -             it came well, or not
//     0x03            stop the program
//
// Pure functions of what they are given. Whatever comes over the wire, nothing here reads or writes
// past its end; a packet that is too long or has a wrong sum is reported as broken.
#pragma once

#include <stddef.h>
#include <stdint.h>

constexpr size_t rsp_packet_max = 4096; // bytes of payload, in both directions

// ---- in ----

enum rsp_state : uint8_t { RSP_OUTSIDE, RSP_INSIDE, RSP_ESCAPED, RSP_SUM_HIGH, RSP_SUM_LOW };

struct rsp_parser {
    enum rsp_state state;
    uint8_t sum;    // of what came
    uint8_t high;   // of the sum that is claimed
    bool is_broken; // too long, or no sum where one should be
    size_t len;
    char data[rsp_packet_max + 1]; // ends in a zero byte that is not counted
};

enum rsp_event : uint8_t {
    RSP_NOTHING, // yet
    RSP_PACKET,  // `data` and `len` hold the payload until the next byte
    RSP_BROKEN,
    RSP_ACK,
    RSP_NACK,
    RSP_INTERRUPT,
};
enum rsp_event rsp_feed(struct rsp_parser* p, uint8_t byte);

// ---- a payload, from front to back ----

struct rsp_text {
    const char* at;
    const char* end;
};
bool rsp_at_end(const struct rsp_text* t);
bool rsp_take(struct rsp_text* t, const char* word); // passes over it, if it comes next
// A number in hexadecimal, of up to 16 digits and at least one.
bool rsp_take_number(struct rsp_text* t, uint64_t* out);
bool rsp_take_bytes(struct rsp_text* t, void* out, size_t count); // two digits each
// A thread: its number, or one of these. `-1` is all of them, 0 any.
constexpr uint64_t rsp_all_threads = UINT64_MAX;
bool rsp_take_thread(struct rsp_text* t, uint64_t* out);

// ---- out ----

// What does not fit is left out, and noted.
struct rsp_reply {
    size_t len;
    bool overflow;
    char data[rsp_packet_max];
};
void rsp_clear(struct rsp_reply* r);
void rsp_text(struct rsp_reply* r, const char* text);
void rsp_raw(struct rsp_reply* r, const void* data, size_t len); // as they are, escaped on the wire
void rsp_bytes(struct rsp_reply* r, const void* data, size_t len); // in hexadecimal
void rsp_number(struct rsp_reply* r, uint64_t value);
// The answer to a request for [offset, offset + len) of a document: m, or l with the last part.
void rsp_part(struct rsp_reply* r, const void* document, size_t size, uint64_t offset,
              uint64_t len);

// With frame, escapes and sum; `out` has room for rsp_wire_max. The length.
constexpr size_t rsp_wire_max = 2 * rsp_packet_max + 4;
size_t rsp_encode(const struct rsp_reply* r, char* out);
