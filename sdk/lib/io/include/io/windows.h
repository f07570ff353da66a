// Who runs a file's pages and who writes to them: they exclude each other, so a program that runs
// does not change under its own feet.
//
// Each such client gets a window of his own, a reference to the file's VMO. All windows of a kind
// hang below one reference, and that one's ZX_VMO_ZERO_CHILDREN says whether anybody is left,
// whatever became of the connection: it counts handles, streams and mappings, and changes at the
// moment the last of them goes. Readers need none of this.
//
// Of one thread, the file system's.
#pragma once

#include <fidl/jacinth.io.h>
#include <zircon/types.h>

struct io_windows {
    zx_handle_t runners, writers; // ZX_HANDLE_INVALID: nobody since io_windows_close_unused
};

// A window for WRITE or for EXECUTE of `file`, a VMO. The caller's to keep, with all rights.
// UNAVAILABLE: somebody has the other kind; INVALID_ARGS: not exactly one of the two.
zx_status_t io_window_open(struct io_windows* windows, zx_handle_t file, jacinth_io_flags_t flags,
                           zx_handle_t* out);

// Whether somebody runs the file: it must not be cut or extended, either.
bool io_windows_are_run(const struct io_windows* windows);

// Ends what keeps `file` from having no children. What is still in use, or ZX_HANDLE_INVALID: wait
// for its ZX_VMO_ZERO_CHILDREN and call again.
zx_handle_t io_windows_close_unused(struct io_windows* windows);

// Forgets them all; windows that clients have stay theirs.
void io_windows_end(struct io_windows* windows);
