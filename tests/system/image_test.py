"""`./jx image`: what it hands out boots, and what does not boot is not handed out."""

import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from jx import disk
from jx.image import ImageError
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
        disk.make(self.settings, output)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["jacinth.img"])
        data = output.read_bytes()
        self.assertEqual(data[512:520], b"EFI PART")
        self.assertEqual(len(data) % (1 << 20), 0)

    def test_no_image_if_it_does_not_boot(self) -> None:
        broken = self.settings.with_changes(append='debug.exit=0xf4 kernel.k="crash panic"')
        with self.assertRaisesRegex(ImageError, "does not boot on q35: panic"):
            disk.make(broken, self.folder / "jacinth.img")
        self.assertEqual(list(self.folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
