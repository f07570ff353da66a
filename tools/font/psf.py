#!/usr/bin/env python3
"""A bitmap font in the PC Screen Font format (PSF 1 or 2, also gzipped), as C or as a dictionary.

    psf.py FONT.psf.gz --output font.c

The C source has one array of glyphs, a byte for each row of eight pixels, and one of the characters
that they stand for, sorted by character.
"""

import argparse
import gzip
import struct
import sys
from pathlib import Path

_MAGIC_1 = b"\x36\x04"
_MAGIC_2 = b"\x72\xb5\x4a\x86"


class FontError(Exception):
    """The file is no font that this understands."""


def read(data: bytes) -> tuple[int, dict[int, bytes]]:
    """(height, the glyph of each character). Glyphs are eight pixels wide."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[:2] == _MAGIC_1:
        return _read_1(data)
    if data[:4] == _MAGIC_2:
        return _read_2(data)
    raise FontError("neither PSF 1 nor PSF 2")


def _read_1(data: bytes) -> tuple[int, dict[int, bytes]]:
    mode, height = data[2], data[3]
    count = 512 if mode & 1 else 256
    glyphs = _cut(data, 4, count, height)
    if not mode & 6:
        return height, dict(enumerate(glyphs))
    words = [word for (word,) in struct.iter_unpack("<H", data[4 + count * height :])]
    characters: dict[int, bytes] = {}
    at = 0
    for glyph in glyphs:
        end = words.index(0xFFFF, at)
        for code in words[at:end]:
            if code == 0xFFFE:
                break  # what follows are sequences
            characters.setdefault(code, glyph)
        at = end + 1
    return height, characters


def _read_2(data: bytes) -> tuple[int, dict[int, bytes]]:
    _, size, flags, count, glyph_size, height, width = struct.unpack_from("<7I", data, 4)
    if width != 8 or glyph_size != height:
        raise FontError(f"glyphs are {width} pixels wide, not 8")
    glyphs = _cut(data, size, count, height)
    if not flags & 1:
        return height, dict(enumerate(glyphs))
    characters: dict[int, bytes] = {}
    entries = data[size + count * height :].split(b"\xff")
    for glyph, entry in zip(glyphs, entries):
        for character in entry.split(b"\xfe")[0].decode("utf-8"):
            characters.setdefault(ord(character), glyph)
    return height, characters


def _cut(data: bytes, begin: int, count: int, height: int) -> list[bytes]:
    if len(data) < begin + count * height:
        raise FontError("shorter than its glyphs")
    return [data[begin + i * height : begin + (i + 1) * height] for i in range(count)]


def as_c(height: int, characters: dict[int, bytes]) -> str:
    """The source, for <console/font.h>."""
    lines = [
        "#include <console/font.h>",
        "",
        f"const uint32_t font_height = {height};",
        f"const uint32_t font_count = {len(characters)};",
        "const uint32_t font_codes[] = {",
    ]
    codes = sorted(characters)
    lines += [f"    {code:#x}," for code in codes]
    lines += ["};", "const uint8_t font_glyphs[] = {"]
    lines += ["    " + ", ".join(str(b) for b in characters[code]) + "," for code in codes]
    lines += ["};", ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("font", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        height, characters = read(arguments.font.read_bytes())
    except (OSError, FontError, ValueError, struct.error) as error:
        print(f"psf.py: {arguments.font}: {error}", file=sys.stderr)
        return 1
    arguments.output.write_text(as_c(height, characters))
    return 0


if __name__ == "__main__":
    sys.exit(main())
