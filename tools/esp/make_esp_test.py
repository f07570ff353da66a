"""Tests of the flat kernel image and of the volume made around it."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from esp import flat_kernel, make_esp

_BASE = 0x104000


def _header(file_end: int, magic: int = flat_kernel.IMAGE_MAGIC, base: int = _BASE) -> bytes:
    words = [base, 0x1000, 0x2000, file_end, file_end + 0x1000, file_end, 0, 0, 0x80]
    return struct.pack("<QII9Q", magic, 1, 88, *words)


def _elf(segments: list[tuple[int, bytes]]) -> bytes:
    """An ELF file with these loadable segments (address, contents) and a note between them."""
    table = b""
    contents = b""
    data_start = 64 + 56 * (len(segments) + 1)
    for address, data in segments:
        offset = data_start + len(contents)
        table += struct.pack("<IIQQQQQQ", 1, 5, offset, address, address, len(data), len(data), 1)
        contents += data
    table += struct.pack("<IIQQQQQQ", 4, 4, 0, 0, 0, 4, 4, 4)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", ident, 3, 62, 1, 0, 64, 0, 0, 64, 56, len(segments) + 1, 0, 0, 0
    )
    return head + table + contents


class FlattenTest(unittest.TestCase):
    def test_takes_the_image_and_fills_gaps(self) -> None:
        text = _header(0x3000) + b"T" * 100
        elf = _elf([(0x100000, b"boot" * 100), (_BASE, text), (_BASE + 0x2000, b"D" * 0x1000)])
        flat = flat_kernel.flatten(elf)
        self.assertEqual(len(flat), 0x3000)
        self.assertEqual(flat[: len(text)], text)
        self.assertEqual(flat[len(text) : 0x2000], bytes(0x2000 - len(text)))
        self.assertEqual(flat[0x2000:], b"D" * 0x1000)

    def test_what_lies_past_the_end_is_left_out(self) -> None:
        elf = _elf([(_BASE, _header(0x1000)), (_BASE + 0x800, b"x" * 0x1000)])
        flat = flat_kernel.flatten(elf)
        self.assertEqual(flat[0x800:], b"x" * 0x800)

    def test_refuses_what_is_no_kernel(self) -> None:
        good = _elf([(_BASE, _header(0x1000))])
        for bad in (
            b"",
            b"MZ" + bytes(200),
            good[:100],
            good[:-10],
            _elf([(_BASE, _header(0x1000, magic=1))]),
            _elf([(_BASE, _header(0x1000, base=_BASE + 4096))]),
            _elf([]),
        ):
            with self.assertRaises(flat_kernel.FlatKernelError):
                flat_kernel.flatten(bad)


class VolumeTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def _file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def _read(self, image: Path, name: str) -> bytes:
        environment = os.environ | {"MTOOLS_SKIP_CHECK": "1"}
        command = ["mtype", "-i", str(image), f"::/{name}"]
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout

    def _make(self, zbi: bytes) -> Path:
        image = self.folder / "esp.img"
        words = [
            "--output", image, "--loader", self._file("l", b"MZloader"),
            "--kernel", self._file("k", _elf([(_BASE, _header(0x1000))])),
            "--zbi", self._file("z", zbi), "--cmdline", self._file("c", b"a=b\n"),
        ]  # fmt: skip
        self.assertEqual(make_esp.main([str(word) for word in words]), 0)
        return image

    def test_everything_is_on_it(self) -> None:
        image = self._make(b"zbi" * 1000)
        self.assertEqual(self._read(image, "EFI/BOOT/BOOTX64.EFI"), b"MZloader")
        self.assertEqual(self._read(image, "jacinth.bin")[:88], _header(0x1000))
        self.assertEqual(self._read(image, "system.zbi"), b"zbi" * 1000)
        self.assertEqual(self._read(image, "cmdline.txt"), b"a=b\n")

    def test_sizes_around_the_change_to_fat32(self) -> None:
        for mib in (1, 59, 64, 70):
            data = os.urandom(4096) * (mib * 256)
            self.assertEqual(self._read(self._make(data), "system.zbi"), data)

    def test_an_error_is_told(self) -> None:
        errors = io.StringIO()
        words = ["--output", str(self.folder / "o"), "--loader", "/none", "--kernel", "/none"]
        with contextlib.redirect_stderr(errors):
            self.assertEqual(make_esp.main(words), 1)
        self.assertIn("/none", errors.getvalue())


if __name__ == "__main__":
    unittest.main()
