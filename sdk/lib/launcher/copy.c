// Files that are read instead of mapped: a copy of what a launch needs of one.
//
// The copy is a VMO as long as the file, in which only those bytes lie that were read: the headers,
// and the pages of segments. So everything behind this looks at a file with pages, whichever it
// was: segments are mapped, writable ones through copy-on-write children, and an interpreter gets a
// VMO. What no segment has (symbols, sections of debuggers) is never read, and takes no memory.
#include <stdlib.h>

#include <zircon/rights.h>
#include <zircon/syscalls.h>

#include "launcher_priv.h"

struct copying {
    const struct launch_file* from;
    zx_handle_t vmo;
};

// Reads, and keeps what was read.
static int32_t read_and_keep(void* ctx, uint64_t offset, void* buffer, size_t len,
                             size_t* out_len) {
    const struct copying* c = ctx;
    size_t got = 0;
    *out_len = 0;
    zx_status_t status = c->from->read(c->from->ctx, offset, buffer, len, &got);
    if (status != ZX_OK) {
        return status;
    }
    if (got > len) {
        return ZX_ERR_IO_INVALID;
    }
    *out_len = got;
    return got != 0 ? zx_vmo_write(c->vmo, buffer, offset, got) : ZX_OK;
}

static zx_status_t copy_range(struct copying* c, uint64_t at, uint64_t end, void* chunk) {
    while (at < end) {
        size_t part = end - at < launch_chunk_len ? (size_t)(end - at) : launch_chunk_len;
        size_t got;
        zx_status_t status = read_and_keep(c, at, chunk, part, &got);
        if (status != ZX_OK || got == 0) {
            return status != ZX_OK ? status : ZX_ERR_IO; // it was said to be longer
        }
        at += got;
    }
    return ZX_OK;
}

// The first bytes of the file from `at` on that a segment has; none: begin is not less than end.
struct piece {
    uint64_t begin, end;
};
static struct piece next_piece(const struct elf_plan* plan, uint64_t at) {
    struct piece first = {.begin = UINT64_MAX};
    for (uint32_t i = 0; i < plan->segment_count; i++) {
        const struct elf_segment* s = &plan->segments[i];
        uint64_t end = s->file_offset + s->file_len;
        uint64_t begin = s->file_offset > at ? s->file_offset : at;
        if (begin < end && begin < first.begin) {
            first = (struct piece){begin, end};
        }
    }
    return first;
}

// In the order of the file, nothing twice.
static zx_status_t copy_segments(struct copying* c, const struct elf_plan* plan) {
    void* chunk = malloc(launch_chunk_len);
    zx_status_t status = chunk != nullptr ? ZX_OK : ZX_ERR_NO_MEMORY;
    struct piece p = {};
    while (status == ZX_OK && (p = next_piece(plan, p.end)).begin < p.end) {
        // The last page may be partly beyond the file.
        status = copy_range(c, p.begin, p.end < c->from->len ? p.end : c->from->len, chunk);
    }
    free(chunk);
    return status;
}

// As a server of files would give it: to be mapped and run, not to be written.
static zx_status_t finish(const struct launch_request* request, zx_handle_t* vmo) {
    constexpr zx_rights_t rights =
        ZX_RIGHTS_BASIC | ZX_RIGHT_MAP | ZX_RIGHT_READ | ZX_RIGHT_GET_PROPERTY | ZX_RIGHT_EXECUTE;
    zx_handle_t from = *vmo;
    zx_status_t status = zx_vmo_replace_as_executable(from, request->vmex, vmo);
    if (status == ZX_OK) {
        from = *vmo;
        status = zx_handle_replace(from, rights, vmo);
    }
    if (status != ZX_OK) {
        *vmo = ZX_HANDLE_INVALID; // gone, even when the call fails
    }
    return status;
}

struct launch_result launch_copy(const struct launch_request* request,
                                 const struct launch_file* from, const struct elf_rules* rules,
                                 launch_error_t error, struct elf_plan* plan, zx_handle_t* out) {
    struct copying c = {.from = from};
    zx_status_t status = zx_vmo_create(from->len, 0, &c.vmo);
    if (status != ZX_OK) {
        return launch_failure(LAUNCH_COPY_FILE, status);
    }
    launch_set_name(c.vmo, request->name);
    struct launch_file kept = {.read = read_and_keep, .ctx = &c, .len = from->len};
    struct launch_result result = launch_plan(&kept, rules, error, plan);
    if (result.error == LAUNCH_OK) {
        result = launch_step(LAUNCH_READ_SEGMENT, copy_segments(&c, plan));
    }
    if (result.error == LAUNCH_OK) {
        result = launch_step(LAUNCH_COPY_FILE, finish(request, &c.vmo));
    }
    if (result.error != LAUNCH_OK) {
        (void)zx_handle_close(c.vmo);
        return result;
    }
    *out = c.vmo;
    return result;
}
