// The kernel command line: words `key` or `key=value`, the last of several wins.
#pragma once

#include <lib/parse.h>

void cmdline_init(const char* text, size_t length); // boot, once; the text stays where it is
struct text_span cmdline(void);
