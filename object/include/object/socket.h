// Sockets: two ends, each with a buffer of what arrived for it: a stream of bytes, or datagrams.
//
// An end's writing may be disabled, by itself or by its peer, and enabled again once its peer has
// read everything. What was written stays readable after the writer disabled writing or closed;
// only then does reading fail (BAD_STATE, PEER_CLOSED).
#pragma once

#include <stddef.h>

#include <zircon/syscalls/object.h>

#include <lib/compiler.h>
#include <object/object.h>

struct socket;

// Bytes one end may have waiting, and datagrams.
constexpr size_t SOCKET_BUFFER_SIZE = 256 << 10;
constexpr uint32_t SOCKET_DATAGRAMS_MAX = 4096;

// `options`: ZX_SOCKET_STREAM or ZX_SOCKET_DATAGRAM. NO_MEMORY.
status_t socket_create(uint32_t options, struct socket** a, struct socket** b);
[[nodiscard]] struct socket* socket_from_object(struct object* o);
struct object* socket_object(struct socket* s);

// To the peer. A stream takes what fits (*actual), in one piece among concurrent writers; a
// datagram is taken whole or not at all, and so is what is written to a stream with `whole`.
// PEER_CLOSED; BAD_STATE: writing is disabled; SHOULD_WAIT; OUT_OF_RANGE: whole, and larger than
// any buffer; INVALID_ARGS: bad pointer; NO_MEMORY.
status_t socket_write(struct socket* s, bool whole, const void __user* data, size_t len,
                      size_t* actual);
// What is there, up to `len` bytes; of a datagram that is longer, the rest is lost. `peek` leaves
// everything there. What could not be stored, because of a bad pointer (INVALID_ARGS), stays.
// SHOULD_WAIT, BAD_STATE, PEER_CLOSED: nothing is there.
status_t socket_read(struct socket* s, bool peek, void __user* data, size_t len, size_t* actual);

enum socket_disposition : uint8_t {
    SOCKET_KEEP,
    SOCKET_WRITE_DISABLED,
    SOCKET_WRITE_ENABLED,
};
// All or nothing. BAD_STATE: enabled while what it wrote before is unread; `peers` is not KEEP and
// the peer is closed.
status_t socket_set_dispositions(struct socket* s, enum socket_disposition mine,
                                 enum socket_disposition peers);

// The signal READ_THRESHOLD says that at least so many bytes can be read; WRITE_THRESHOLD, that so
// many can be written. 0: never. INVALID_ARGS: above the buffer's size; PEER_CLOSED (writing).
size_t socket_read_threshold(struct socket* s);
size_t socket_write_threshold(struct socket* s);
status_t socket_set_read_threshold(struct socket* s, size_t bytes);
status_t socket_set_write_threshold(struct socket* s, size_t bytes);

void socket_get_info(struct socket* s, zx_info_socket_t* out);
