// The frame buffer as the terminal's second output: what the serial line shows, drawn.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <console/draw.h>
#include <console/vt.h>
#include <fidl/jacinth.io.h>
#include <zircon/types.h>

struct screen {
    bool works;
    struct vt vt;
    struct draw draw;
};

// With the word of the environment that says where it is (framebuffer=...), and the resource for
// it, which is gone. NOT_FOUND: there is no screen.
zx_status_t screen_start(struct screen* s, const char* const* environ, zx_handle_t mmio,
                         vt_answer_fn answer, void* ctx);
void screen_write(struct screen* s, const uint8_t* bytes, size_t count);
void screen_size(const struct screen* s, struct jacinth_io_window_size* size);
// Moves the view by half a screen, into what has scrolled off or back.
void screen_scroll(struct screen* s, bool up);
