// The console's bitmap font, made by tools/font/psf.py: glyphs eight pixels wide, a byte for each
// row with the leftmost pixel in its highest bit.
#pragma once

#include <stdint.h>

extern const uint32_t font_height;
extern const uint32_t font_count;
extern const uint32_t font_codes[]; // characters, sorted
extern const uint8_t font_glyphs[]; // font_height bytes for each
