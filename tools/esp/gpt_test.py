"""Tests of the partition table, read back by a reader of their own."""

import struct
import sys
import unittest
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from esp import gpt

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")


class GptTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.volume = Path(folder.name) / "volume"
        self.disk = Path(folder.name) / "disk"

    def _wrap(self, contents: bytes) -> bytes:
        self.volume.write_bytes(contents)
        gpt.write_disk(self.disk, [gpt.Volume(self.volume, gpt.EFI_SYSTEM, "JACINTH")])
        return self.disk.read_bytes()

    def _check_header(self, disk: bytes, at: int, other: int) -> tuple[int, bytes]:
        """First block of the table, and the table."""
        raw = disk[at * 512 : at * 512 + 92]
        head = _HEADER.unpack(raw)
        self.assertEqual(head[:3], (b"EFI PART", 0x10000, 92))
        self.assertEqual(head[3], zlib.crc32(raw[:16] + bytes(4) + raw[20:]))
        self.assertEqual(head[5:7], (at, other))
        table = disk[head[10] * 512 : head[10] * 512 + head[11] * head[12]]
        self.assertEqual(head[13], zlib.crc32(table))
        self.assertLessEqual(head[7], 2048)
        return head[10], table

    def test_both_tables_say_where_the_volume_is(self) -> None:
        for size in (512, 1 << 20, (3 << 20) + 512):
            contents = bytes(range(256)) * (size // 256)
            disk = self._wrap(contents)
            self.assertEqual(len(disk) % (1 << 20), 0)
            last = len(disk) // 512 - 1
            first, table = self._check_header(disk, 1, last)
            backup, again = self._check_header(disk, last, 1)
            self.assertEqual((first, backup), (2, last - 32))
            self.assertEqual(table, again)
            kind, start, end = table[:16], *struct.unpack_from("<QQ", table, 32)
            self.assertEqual(kind.hex(), "28732ac11ff8d211ba4b00a0c93ec93b")
            self.assertEqual(table[56:72].decode("utf-16-le").rstrip("\0"), "JACINTH")
            self.assertEqual(disk[start * 512 : (end + 1) * 512], contents)
            self.assertLess(end, backup)
            self.assertFalse(any(table[128:]))

    def test_two_volumes(self) -> None:
        other = self.volume.with_name("other")
        other.write_bytes(b"r" * 4096 + bytes(3 << 20))
        self.volume.write_bytes(b"s" * ((1 << 20) + 512))
        gpt.write_disk(self.disk, [gpt.Volume(self.volume, gpt.EFI_SYSTEM, "system"),
                                   gpt.Volume(other, gpt.FILE_SYSTEM, "root")])  # fmt: skip
        disk = self.disk.read_bytes()
        _, table = self._check_header(disk, 1, len(disk) // 512 - 1)
        places = [struct.unpack_from("<QQ", table, 128 * index + 32) for index in (0, 1)]
        self.assertEqual(places, [(2048, 2048 + 2048), (3 * 2048, 3 * 2048 + 8 + 6144 - 1)])
        self.assertEqual(disk[3 << 20 : (3 << 20) + other.stat().st_size], other.read_bytes())
        self.assertNotEqual(table[16:32], table[144:160])
        self.assertEqual(table[128:144].hex(), "af3dc60f838472478e793d69d8477de4")

    def test_old_tools_see_a_full_disk(self) -> None:
        disk = self._wrap(bytes(512))
        self.assertEqual(disk[510:512], b"\x55\xaa")
        self.assertEqual(disk[450], 0xEE)
        self.assertEqual(struct.unpack_from("<II", disk, 454), (1, len(disk) // 512 - 1))

    def test_same_contents_same_image(self) -> None:
        self.assertEqual(self._wrap(b"a" * 512), self._wrap(b"a" * 512))
        self.assertNotEqual(self._wrap(b"a" * 512)[:4096], self._wrap(b"b" * 512)[:4096])

    def test_refuses_part_of_a_block(self) -> None:
        for contents in (b"", b"x" * 513):
            with self.assertRaises(ValueError):
                self._wrap(contents)


if __name__ == "__main__":
    unittest.main()
