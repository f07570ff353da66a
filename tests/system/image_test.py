"""`./jx image`: what it hands out boots, and what does not boot is not handed out."""

import struct
import subprocess
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from jx import image
from jx.boot_image import ImageError
from jx.testing.lab import depends_on, settings_from_environment


@depends_on("variant")
class ImageTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory(prefix="jx-image-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.settings = settings_from_environment().with_changes(uefi=True)

    def test_an_image_that_boots(self) -> None:
        output = self.folder / "jacinth.img"
        image.make(self.settings, output)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["jacinth.img"])
        data = output.read_bytes()
        self.assertEqual(data[512:520], b"EFI PART")
        # The second volume is the root: a file system without fault, with programs on it.
        (start,) = struct.unpack_from("<Q", data, 1024 + 128 + 32)
        root = self.folder / "root.img"
        root.write_bytes(data[start * 512 : (start * 512) + (64 << 20)])
        check = subprocess.run(["e2fsck", "-fn", str(root)], capture_output=True, text=True, check=False)
        self.assertEqual(check.returncode, 0, check.stdout)
        listed = subprocess.run(["debugfs", "-R", "ls -p /bin", str(root)], capture_output=True, text=True, check=True)
        self.assertIn("/busybox/", listed.stdout)
        self.assertEqual(len(data) % (1 << 20), 0)

    def test_no_image_if_it_does_not_boot(self) -> None:
        broken = self.settings.with_changes(append='debug.exit=0xf4 kernel.k="crash panic"')
        with self.assertRaisesRegex(ImageError, "does not boot on q35: panic"):
            image.make(broken, self.folder / "jacinth.img")
        self.assertEqual(list(self.folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
