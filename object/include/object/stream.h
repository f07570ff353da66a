// Streams: reading and writing a VMO's content like a file, with a seek offset.
//
// A write may grow the content: the bytes it skips read zero, and two writes never grow it at the
// same time, whatever stream they use. What is read and written is otherwise not serialised.
#pragma once

#include <stddef.h>

#include <zircon/syscalls/object.h>

#include <lib/compiler.h>
#include <object/object.h>

struct stream;
struct vmo;

// `options`: ZX_STREAM_MODE_*. `may_resize`: writing may also grow the VMO itself. Takes a
// reference to `v` of its own. NO_MEMORY.
status_t stream_create(struct vmo* v, uint32_t options, bool may_resize, uint64_t seek,
                       struct stream** out);
[[nodiscard]] struct stream* stream_from_object(struct object* o);
struct object* stream_object(struct stream* s);

// `offset` null: at the seek offset, which moves along. *actual may fall short: at the end of the
// content, where the VMO could not grow further, and where a buffer or a page was not to be had
// after something had been moved. INVALID_ARGS, NOT_FOUND: bad pointer; INTR_KILLED; a page's
// failure.
status_t stream_readv(struct stream* s, const zx_iovec_t __user* vectors, size_t count,
                      const uint64_t* offset, size_t* actual);
// `append`: at the end of the content, found and written in one step. FILE_BIG: beyond all numbers;
// NO_SPACE, OUT_OF_RANGE: the VMO cannot grow so far that one byte could be written.
status_t stream_writev(struct stream* s, const zx_iovec_t __user* vectors, size_t count,
                       const uint64_t* offset, bool append, size_t* actual);
// INVALID_ARGS: an unknown origin, or a result below 0 or beyond INT64_MAX.
status_t stream_seek(struct stream* s, zx_stream_seek_origin_t origin, int64_t offset,
                     uint64_t* out);

bool stream_append_mode(struct stream* s);
void stream_set_append_mode(struct stream* s, bool append);
void stream_get_info(struct stream* s, zx_info_stream_t* out);
