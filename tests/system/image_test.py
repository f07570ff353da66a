"""`./jx image`: what it hands out boots, and what does not boot is not handed out."""

import struct
import subprocess
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from jx import image
from jx.boot_image import ImageError
from jx.testing.lab import SystemTest, depends_on, settings_from_environment
from jx.tree import ROOT


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


@depends_on("variant")
class NoRootTest(SystemTest):
    """The root is to be on a disk, and no driver finds it there."""

    def test_the_boot_image_is_in_its_place(self) -> None:
        with TemporaryDirectory(prefix="jx-image-test-") as folder:
            services, other = Path(folder) / "services", Path(folder) / "ide.img"
            services.write_text(image.services((ROOT / "system/etc/services").read_text()))
            other.write_bytes(bytes(1 << 20))
            with self.boot(
                shell=True,
                adds=((services, "etc/services"),),
                qemu_args=(f"-drive if=ide,format=raw,file={other}",),
            ) as console:
                # It came to its prompt, so what init had to say is there.
                self.assertIn(b"init: no disk that a driver knows has the root file system (waited 5 s)", console.text)
                console.type("ls / | head -n 1; cd; pwd; echo $((6 * 7)) > /tmp/x; cat /tmp/x; > /x\r")
                self.assertRegex(console.wait_text("can't open '/x'"), r"\nbin\n/tmp\n42\n")
                console.type("launch -f 1 -n /home=/bin /bin/ls /home | grep -c ^launch; echo that was all\r")
                console.wait_text("\n1\nthat was all")
                console.type("poweroff\r")
                console.wait_end()


if __name__ == "__main__":
    unittest.main()
