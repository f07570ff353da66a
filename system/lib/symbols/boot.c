// See <symbols/boot.h>.
#include <symbols/boot.h>

#include <stdio.h>

#include <bootsvc/client.h>
#include <zircon/limits.h>
#include <zircon/process.h>
#include <zircon/syscalls.h>

void symbols_boot_open(struct symbols_boot* b, zx_handle_t boot) {
    *b = (struct symbols_boot){};
    zx_handle_t vmo;
    uint64_t len;
    if (bootsvc_open(boot, "symbols", &vmo, &len) != ZX_OK) {
        return;
    }
    zx_vaddr_t mapped = 0;
    zx_status_t status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ, 0, vmo, 0, len, &mapped);
    (void)zx_handle_close(vmo);
    if (status != ZX_OK) {
        return;
    }
    b->mapped = mapped;
    b->len = len;
    if (!symbols_open(&b->symbols, (const void*)mapped, len)) {
        symbols_boot_close(b);
    }
}

void symbols_boot_close(struct symbols_boot* b) {
    if (b->mapped != 0) {
        (void)zx_vmar_unmap(zx_vmar_root_self(), b->mapped,
                            (b->len + ZX_MIN_PAGE_SIZE - 1) & ~(ZX_MIN_PAGE_SIZE - 1));
    }
    *b = (struct symbols_boot){};
}

bool symbols_frame_place(const struct symbols_boot* b, const struct backtrace_frame* frame,
                         struct symbols_place* out) {
    // A caller goes on behind its call, which may be the last thing in its function.
    uint64_t back = frame->index > 0 && frame->offset > 0;
    if (b->mapped == 0 || frame->build_id == 0 ||
        !symbols_find(&b->symbols, frame->build_id, frame->offset - back, out)) {
        return false;
    }
    out->offset += back;
    return true;
}

void symbols_frame_line(const struct symbols_boot* b, const struct backtrace_frame* frame,
                        char line[SYMBOLS_LINE_MAX]) {
    struct symbols_place place;
    if (symbols_frame_place(b, frame, &place)) {
        (void)snprintf(line, SYMBOLS_LINE_MAX, "#%-2u %s+0x%llx (%s+0x%llx)\n", frame->index,
                       place.name, (unsigned long long)place.offset, frame->module,
                       (unsigned long long)frame->offset);
    } else {
        (void)snprintf(line, SYMBOLS_LINE_MAX, "{{{bt:%u:0x%llx:%s}}}\n", frame->index,
                       (unsigned long long)frame->offset, frame->module);
    }
}
