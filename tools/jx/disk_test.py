"""Tests of disk.py: images are what e2fsprogs takes them for."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from jx import disk


class VolumeTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.files = self.folder / "files"
        (self.files / "sub").mkdir(parents=True)
        (self.files / "sub" / "hello").write_text("hello, disk\n")
        (self.files / "large").write_bytes(bytes(range(256)) * 8192)
        (self.files / "link").symlink_to("sub/hello")
        self.image = self.folder / "image"

    def test_an_image_has_the_files(self) -> None:
        disk.create(self.files, self.image, disk.size_for(self.files))
        check = subprocess.run(["e2fsck", "-fn", str(self.image)], capture_output=True)
        self.assertEqual(check.returncode, 0, check.stdout)
        shown = subprocess.run(
            ["debugfs", "-R", "cat sub/hello", str(self.image)], capture_output=True, check=True
        )
        self.assertEqual(shown.stdout, b"hello, disk\n")

    def test_sizes(self) -> None:
        self.assertEqual(disk.size_for(self.files), 8 << 20)
        (self.files / "larger").write_bytes(bytes(20 << 20))
        size = disk.size_for(self.files)
        self.assertGreater(size, 30 << 20)
        self.assertEqual(size % (1 << 20), 0)

    def test_what_failed_leaves_nothing(self) -> None:
        with self.assertRaises(subprocess.CalledProcessError) as raised:
            disk.create(self.files, self.image, 1 << 20)  # smaller than its files
        self.assertTrue(raised.exception.stderr)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["files"])

    def test_a_size_that_is_none_has_a_reason(self) -> None:
        with self.assertRaisesRegex(OSError, "1M at least"):
            disk.create(self.files, self.image, 1024)


if __name__ == "__main__":
    unittest.main()
