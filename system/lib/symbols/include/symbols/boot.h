// The boot image's names of functions, and frames with them as lines of text.
#pragma once

#include <backtrace/backtrace.h>
#include <symbols/symbols.h>
#include <zircon/types.h>

struct symbols_boot {
    struct symbols symbols;
    zx_vaddr_t mapped; // 0: no names are known
    size_t len;
};

// `boot`: a directory as /boot. Whatever goes wrong: no names are known.
void symbols_boot_open(struct symbols_boot* b, zx_handle_t boot);
void symbols_boot_close(struct symbols_boot* b);

// False: nobody knows.
bool symbols_frame_place(const struct symbols_boot* b, const struct backtrace_frame* frame,
                         struct symbols_place* out);

constexpr size_t SYMBOLS_LINE_MAX = SYMBOLS_NAME_MAX + 96;

// One frame, with a line feed:
//
//     #1  main+0x1b (hello+0x10f2)     the address that it goes on at, in a function and in a
//     module
//     {{{bt:1:0x10f2:hello}}}          without a name: a tool that has the file knows more
void symbols_frame_line(const struct symbols_boot* b, const struct backtrace_frame* frame,
                        char line[SYMBOLS_LINE_MAX]);
