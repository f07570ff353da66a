// A program's file, as a server of files has it (jacinth.io/File).
//
// The server is asked for the file's pages (GetVmo). One that has none to give, because it has no
// pager, says NOT_SUPPORTED; then the file is read over the connection (ReadAt), and only what a
// launch needs of it (<launcher/launcher.h>). Who opens a source need not know which it is.
//
// One thread at a time. It takes JACINTH_IO_MAX_READ_AT bytes of memory and a little, from the
// first ReadAt until it is closed.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <launcher/launcher.h>
#include <zircon/types.h>

struct launch_source {
    zx_handle_t vmo;        // the file's pages; else they are read from
    zx_handle_t connection; // the server
    uint64_t len;
    zx_time_t deadline; // when the server must have answered everything; may be changed
    void* buffer;       // of messages
    // What was asked of the server by ReadAt, and what came.
    uint64_t requests, bytes;
};

// `connection` is gone whatever the outcome; *out needs launch_source_close() only on success.
// TIMED_OUT: the server has not answered by then. NOT_FILE: it is something else.
zx_status_t launch_source_open(zx_handle_t connection, zx_time_t deadline,
                               struct launch_source* out);
void launch_source_close(struct launch_source* source);

// For a request; the source stays where it is until the launch has returned.
struct launch_file launch_source_file(struct launch_source* source);

// Reads up to `len` bytes; *actual is less only at the end of the file.
zx_status_t launch_source_read(struct launch_source* source, uint64_t offset, void* buffer,
                               size_t len, size_t* actual);
