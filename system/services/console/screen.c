#include "screen.h"

#include <stdlib.h>
#include <string.h>

#include <console/font.h>
#include <jacinth/startup.h>
#include <zircon/syscalls.h>

constexpr uint32_t HISTORY_ROWS = 500;
constexpr uint32_t PIXEL_RGB_X888 = 0x00040005; // blue in the lowest byte
constexpr uint32_t PIXEL_BGR_888X = 0x0004000b;
constexpr uint32_t SIDE_MAX = 16384;

// framebuffer=BASE,LENGTH,WIDTH,HEIGHT,STRIDE,FORMAT
enum field { BASE, LENGTH, WIDTH, HEIGHT, STRIDE, FORMAT, FIELD_COUNT };

static bool parse(const char* const* environ, uint64_t fields[FIELD_COUNT]) {
    static constexpr char word[] = "framebuffer=";
    for (; *environ != nullptr; environ++) {
        if (strncmp(*environ, word, sizeof(word) - 1) != 0) {
            continue;
        }
        const char* at = *environ + sizeof(word) - 1;
        for (uint32_t i = 0; i < FIELD_COUNT; i++) {
            char* end;
            fields[i] = strtoull(at, &end, 0);
            if (end == at || *end != (i + 1 < FIELD_COUNT ? ',' : '\0')) {
                return false;
            }
            at = end + 1;
        }
        return true;
    }
    return false;
}

static bool is_usable(const uint64_t f[FIELD_COUNT]) {
    return f[WIDTH] <= f[STRIDE] && f[STRIDE] <= SIDE_MAX && f[HEIGHT] <= SIDE_MAX &&
           f[HEIGHT] * f[STRIDE] * sizeof(uint32_t) <= f[LENGTH] &&
           (f[FORMAT] == PIXEL_RGB_X888 || f[FORMAT] == PIXEL_BGR_888X);
}

static zx_status_t map(const uint64_t f[FIELD_COUNT], zx_handle_t mmio, uint32_t** out) {
    size_t len = (f[LENGTH] + 0xfff) & ~0xfffull;
    zx_handle_t vmo;
    zx_vaddr_t address = 0;
    zx_status_t status = zx_vmo_create_physical(mmio, f[BASE], len, &vmo);
    if (status != ZX_OK) {
        return status;
    }
    status = zx_vmo_set_cache_policy(vmo, ZX_CACHE_POLICY_WRITE_COMBINING);
    if (status == ZX_OK) {
        status = zx_vmar_map(zx_vmar_root_self(), ZX_VM_PERM_READ | ZX_VM_PERM_WRITE, 0, vmo, 0,
                             len, &address);
    }
    (void)zx_handle_close(vmo);
    *out = (uint32_t*)address;
    return status;
}

static zx_status_t make_grid(struct screen* s, const uint64_t f[FIELD_COUNT], vt_answer_fn answer,
                             void* ctx) {
    uint32_t rows, columns;
    draw_grid((uint32_t)f[WIDTH], (uint32_t)f[HEIGHT], &rows, &columns);
    size_t cells = vt_cells(rows, columns, HISTORY_ROWS);
    size_t shown = (size_t)rows * columns;
    struct vt_cell* memory = calloc(cells + shown, sizeof(*memory));
    if (memory == nullptr) {
        return ZX_ERR_NO_MEMORY;
    }
    if (!vt_init(&s->vt, rows, columns, HISTORY_ROWS, memory, answer, ctx)) {
        free(memory);
        return ZX_ERR_NOT_SUPPORTED;
    }
    s->draw.shown = memory + cells;
    return ZX_OK;
}

zx_status_t screen_start(struct screen* s, const char* const* environ, zx_handle_t mmio,
                         vt_answer_fn answer, void* ctx) {
    uint64_t f[FIELD_COUNT];
    zx_status_t status = mmio == ZX_HANDLE_INVALID || !parse(environ, f) ? ZX_ERR_NOT_FOUND
                         : !is_usable(f)                                 ? ZX_ERR_NOT_SUPPORTED
                                                                         : ZX_OK;
    if (status == ZX_OK) {
        status = map(f, mmio, &s->draw.pixels);
    }
    if (status == ZX_OK) {
        status = make_grid(s, f, answer, ctx);
    }
    (void)zx_handle_close(mmio);
    if (status == ZX_OK) {
        s->draw.stride = (uint32_t)f[STRIDE];
        s->draw.swapped = f[FORMAT] == PIXEL_BGR_888X;
        memset(s->draw.pixels, 0, f[HEIGHT] * f[STRIDE] * sizeof(uint32_t));
        draw_init(&s->draw, &s->vt);
        draw_update(&s->draw, &s->vt);
        s->works = true;
    }
    return status;
}

void screen_write(struct screen* s, const uint8_t* bytes, size_t count) {
    if (s->works) {
        vt_write(&s->vt, bytes, count);
        draw_update(&s->draw, &s->vt);
    }
}

void screen_size(const struct screen* s, struct jacinth_io_window_size* size) {
    *size = (struct jacinth_io_window_size){.rows = (uint16_t)s->vt.rows,
                                            .columns = (uint16_t)s->vt.columns,
                                            .width = (uint16_t)(s->vt.columns * DRAW_GLYPH_WIDTH),
                                            .height = (uint16_t)(s->vt.rows * font_height)};
}

void screen_scroll(struct screen* s, bool up) {
    if (s->works) {
        int32_t half = (int32_t)s->vt.rows / 2;
        vt_scroll_view(&s->vt, up ? half : -half);
        draw_update(&s->draw, &s->vt);
    }
}
