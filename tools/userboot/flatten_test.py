"""Flattening, on ELF files made here."""

from __future__ import annotations

import struct
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from userboot.flatten import FlattenError, flatten, table  # noqa: E402

R, RX, RW, RWX = 4, 5, 6, 7


def elf(segments: list[tuple[int, int, int, bytes, int]], entry: int = 0x1000, kind: int = 3) -> bytes:
    """segments: (type, flags, address, content, memory size); content lies at offset = address."""
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack(
        "<HHIQQQIHHHHHH", kind, 62, 1, entry, 64, 0, 0, 64, 56, len(segments), 64, 0, 0)
    heads = b"".join(struct.pack("<IIQQQQQQ", t, f, a, a, a, len(c), m, 4096) for t, f, a, c, m in segments)
    out = bytearray(header + heads)
    for _, _, address, content, _ in segments:
        out += bytes(max(0, address + len(content) - len(out)))
        out[address:address + len(content)] = content
    return bytes(out)


class Flatten(unittest.TestCase):
    def test_pages_and_zero_tail(self) -> None:
        flat = flatten(elf([(1, RX, 0x1000, b"code", 4), (1, RW, 0x2010, b"data", 0x2000)]))
        self.assertEqual(flat.span, 0x5000)
        self.assertEqual(flat.data[0:4], b"code")
        self.assertEqual(flat.data[0x1010:0x1014], b"data")
        self.assertEqual(len(flat.data), 0x2000)
        self.assertEqual(flat.segments[1].memory_size, 0x3000)
        self.assertIn("ZX_VM_PERM_READ | ZX_VM_PERM_EXECUTE", table(flat))

    def refuse(self, data: bytes, what: str) -> None:
        with self.assertRaisesRegex(FlattenError, what):
            flatten(data)

    def test_refusals(self) -> None:
        code = (1, RX, 0x1000, b"code", 4)
        self.refuse(elf([code], kind=2), "position-independent")
        self.refuse(elf([(3, R, 0x3000, b"/ld", 3), code]), "interpreter")
        self.refuse(elf([(1, RWX, 0x1000, b"code", 4)]), "writable and executable")
        self.refuse(elf([code, (1, RW, 0x1800, b"data", 4)]), "shares a page")
        self.refuse(elf([(1, R, 0x1000, b"code", 4)]), "entry point")


if __name__ == "__main__":
    unittest.main()
