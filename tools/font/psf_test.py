"""Fonts: both formats, and files that are none."""

import gzip
import struct
import unittest

from font.psf import FontError, as_c, read

_GLYPHS = [bytes([n] * 16) for n in range(256)]


def _psf1(mode: int, tail: bytes = b"") -> bytes:
    return b"\x36\x04" + bytes([mode, 16]) + b"".join(_GLYPHS) + tail


def _psf2(flags: int, width: int = 8, tail: bytes = b"") -> bytes:
    head = struct.pack("<7I", 0, 32, flags, 256, 16, 16, width)
    return b"\x72\xb5\x4a\x86" + head + b"".join(_GLYPHS) + tail


class ReadTest(unittest.TestCase):
    """Both formats."""

    def test_without_a_table_glyphs_are_characters(self) -> None:
        for data in (_psf1(0), _psf2(0)):
            height, characters = read(data)
            self.assertEqual(height, 16)
            self.assertEqual(characters[65], bytes([65] * 16))

    def test_tables(self) -> None:
        words = [0xE9, 0xFFFF, 0x41, 0x391, 0xFFFE, 0x41, 0x301, 0xFFFF] + [0xFFFF] * 254
        _, characters = read(gzip.compress(_psf1(2, struct.pack(f"<{len(words)}H", *words))))
        self.assertEqual(set(characters), {0xE9, 0x41, 0x391})
        self.assertEqual(characters[0x391], _GLYPHS[1])
        tail = "é".encode() + b"\xff" + "AΑ".encode() + b"\xfeA\xff" + b"\xff" * 254
        _, characters = read(_psf2(1, tail=tail))
        self.assertEqual(set(characters), {0xE9, 0x41, 0x391})

    def test_what_is_no_font(self) -> None:
        for data in (b"", b"text", _psf1(0)[:100], _psf2(0, width=9)):
            with self.assertRaises(FontError):
                read(data)

    def test_the_source_is_sorted(self) -> None:
        text = as_c(2, {66: b"\1\2", 65: b"\3\4"})
        self.assertIn("font_codes[] = {\n    0x41,\n    0x42,\n}", text)
        self.assertIn("    3, 4,\n    1, 2,\n", text)


if __name__ == "__main__":
    unittest.main()
