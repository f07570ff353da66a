"""Disks: what a program reads and writes is what is in the image, whatever the device is like."""

import random
import re
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

from jx.script import ScriptResult
from jx.testing.lab import SystemTest, depends_on
from jx.tree import ROOT

_FILE = ROOT / "system" / "etc" / "services"
_SECTOR = 512


def _pattern(count: int, seed: int) -> bytes:
    """What `disk fill` writes."""
    out = bytearray()
    for _ in range(count):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        out.append(seed >> 33 & 0xFF)
    return bytes(out)


@depends_on("variant", "machine", "smp")
class DiskTest(SystemTest):
    """measure/disk on virtio-blk."""

    def setUp(self) -> None:
        super().setUp()
        if self.settings.machine == "microvm":
            self.skipTest("the machine has no PCI bus")
        folder = TemporaryDirectory(prefix="jx-disk-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def _image(self, name: str, size: int) -> Path:
        path = self.folder / name
        path.write_bytes(random.Random(name).randbytes(size))
        return path

    def _text(self, result: ScriptResult, index: int) -> str:
        return result.commands[index].output.decode()

    def _expect_sum(self, result: ScriptResult, index: int, data: bytes) -> None:
        self.assertEqual(result.commands[index].code, 0, self._text(result, index))
        self.assertIn(f"crc={zlib.crc32(data):08x}", self._text(result, index))

    def test_what_is_in_the_image_is_read(self) -> None:
        first, second = self._image("a", 5 << 20), self._image("b", 1 << 20)
        result = self.run_commands(
            f"measure/disk sum disk0 0 {(5 << 20) // _SECTOR}",
            "measure/disk unpinned disk1 100 1001",
            "iostat",
            "measure/disk info disk2",
            "k interrupts",
            disks=(first, second),
        )
        self._expect_sum(result, 0, first.read_bytes())
        self._expect_sum(result, 1, second.read_bytes()[100 * _SECTOR : 1101 * _SECTOR])
        self.assertRegex(self._text(result, 2), r"(?m)^disk0 +read +\d+ +0 +5120 ")
        self.assertRegex(self._text(result, 2), r"(?m)^disk1 +read +\d+ +0 +500 ")
        self.assertEqual(result.commands[3].code, 1)  # there is no third
        self.assertEqual(len(re.findall(r"(?m)^ *[1-9]\d* message ", self._text(result, 4))), 2)
        self.assertNotIn("polled", self._text(result, 0))

    def test_what_was_written_is_in_the_image(self) -> None:
        image = self._image("a", 4 << 20)
        before = image.read_bytes()
        result = self.run_commands(
            "measure/disk fill disk0 1000 3001 7",
            "measure/disk sum disk0 999 3003",
            disks=(image,),
        )
        written = _pattern(2048 * _SECTOR, 7)  # a buffer full; the generator goes on
        after = image.read_bytes()
        self.assertEqual(result.commands[0].code, 0)
        self.assertEqual(after[1000 * _SECTOR : 3048 * _SECTOR], written)
        self.assertEqual(after[: 1000 * _SECTOR], before[: 1000 * _SECTOR])
        self.assertEqual(after[4001 * _SECTOR :], before[4001 * _SECTOR :])
        self._expect_sum(result, 1, after[999 * _SECTOR : 4002 * _SECTOR])

    def test_devices_of_all_kinds(self) -> None:
        arguments = ["-drive if=none,id=old,driver=null-co,size=1M,read-zeroes=on",
                     "-device virtio-blk-pci,drive=old,disable-modern=on"]  # fmt: skip
        kinds = ("indirect_desc=off,queue-size=16", "logical_block_size=4096,physical_block_size=4096,vectors=0",
                 "queue-size=4,vectors=0", "disable-legacy=on")  # fmt: skip
        images = [self._image(str(i), 1 << 20) for i in range(len(kinds))]
        for i, (kind, image) in enumerate(zip(kinds, images)):
            read_only = ",readonly=on" if i == 3 else ""
            arguments.append(f"-drive if=none,id=d{i},format=raw,file={image}{read_only}")
            arguments.append(f"-device virtio-blk-pci,drive=d{i},{kind}")
        result = self.run_commands(
            "measure/disk sum disk0 0 2048",
            "measure/disk fill disk0 8 1000 1",
            "measure/disk unpinned disk1 0 256",
            "measure/disk unpinned disk2 0 2048",
            "measure/disk sum disk3 0 2048",
            "measure/disk fill disk3 0 1 1",
            "measure/disk info disk1",
            "measure/disk discard disk2 0 100",
            qemu_args=tuple(arguments),
        )
        self.assertRegex(self._text(result, 0), r"the device \w\w:\w\w\.\d: ZX_ERR_NOT_SUPPORTED")
        without = re.findall(r"(disk\d) has no MSI-X", self._text(result, 0))
        self.assertEqual(without, ["disk1", "disk2"])  # whose wires may well be one
        was = random.Random("0").randbytes(1 << 20)
        self._expect_sum(result, 0, was)
        self.assertEqual(result.commands[1].code, 0)
        self.assertEqual(images[0].read_bytes()[8 * 512 : 1008 * 512], _pattern(1000 * 512, 1))
        for disk, index in ((1, 2), (3, 4)):
            self._expect_sum(result, index, images[disk].read_bytes())
        self._expect_sum(result, 3, random.Random("2").randbytes(1 << 20))
        self.assertIn("ZX_ERR_ACCESS_DENIED", self._text(result, 5))
        self.assertRegex(self._text(result, 6), r"block_size=4096 block_count=256 ")
        self.assertEqual(result.commands[7].code, 0, self._text(result, 7))

    def test_many_clients_at_once(self) -> None:
        image, other = self._image("a", 8 << 20), self._image("b", 1 << 20)
        result = self.run_commands(
            "measure/disk storm disk0 16000", "measure/disk storm disk1 2048", disks=(image, other)
        )
        self._expect_sum(result, 0, image.read_bytes()[: 16000 * _SECTOR])
        self._expect_sum(result, 1, other.read_bytes())
        self.assertNotEqual(other.read_bytes(), random.Random("b").randbytes(1 << 20))

    def test_drivers_that_die_under_reads(self) -> None:
        image = self._image("a", 2 << 20)
        result = self.run_commands(
            "measure/disk survive disk0 virtio_blk 4096",
            "measure/disk outlive disk0 virtio_blk 4096",
            "measure/disk survive disk0 pci 4096",
            "measure/disk outlive disk0 virtio_blk 4096",
            "svc",
            disks=(image,),
        )
        for index in range(4):
            self._expect_sum(result, index, image.read_bytes())
        # A driver that follows its bus has not failed.
        self.assertNotIn("ended with code 1", "".join(self._text(result, index) for index in range(5)))
        restarts = dict(re.findall(r"(?m)^(\w+) +\w+ +(\d+) ", self._text(result, 4)))
        self.assertEqual(restarts["pci"], "1")
        self.assertGreaterEqual(int(restarts["virtio_blk"]), 4)

    def test_disks_in_memory(self) -> None:
        """svc/ramdisk as a service: empty, and with the contents of a file."""
        image, services = self._image("a", 1 << 20), self.folder / "services"
        text, uses = _FILE.read_text(), "uses      disk0 disk1 disk2 disk3 "
        self.assertEqual(text.count(uses), 1)
        services.write_text(
            text.replace(uses, f"{uses} one two ")
            + "\nservice one\n program /boot/svc/ramdisk one 8\n offers one one-control\n"
            "service two\n program /boot/svc/ramdisk two /boot/data/image\n sees /boot\n"
            " offers two two-control\n"
        )
        result = self.run_commands(
            "measure/disk storm one 16000",
            "measure/disk sum two 0 2048",
            "measure/disk survive one one 16384",
            adds=((services, "etc/services"), (image, "data/image")),
        )
        self.assertEqual(result.commands[0].code, 0, self._text(result, 0))
        self._expect_sum(result, 1, image.read_bytes())
        self._expect_sum(result, 2, bytes(8 << 20))  # memory does not survive its server

    def test_a_disk_keeps_its_name(self) -> None:
        """Somebody else has the first device: nobody is disk0 then, least of all the second."""
        first, second = self._image("a", 1 << 20), self._image("b", 1 << 20)
        text, services = _FILE.read_text(), self.folder / "services"
        for old, new in (
            (" jacinth.pci.VirtioBlock=", " jacinth.pci.Test=1af4:1042,1af4:1001 jacinth.pci.VirtioBlock="),
            ("offers    jacinth.pci.List ", "offers    jacinth.pci.List jacinth.pci.Test "),
            ("uses      disk0 disk1 disk2 disk3 ", "uses      disk0 disk1 disk2 disk3 jacinth.pci.Test "),
        ):  # fmt: skip
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        services.write_text(text)
        result = self.run_commands(
            "measure/disk beside disk1 jacinth.pci.Test 2048",
            "measure/disk sum disk0 0 2048",
            "iostat",
            "svc restart virtio_blk",
            "measure/disk sum disk0 0 2048",
            "measure/disk sum disk1 0 2048",
            disks=(first, second),
            adds=((services, "etc/services"),),
        )
        self._expect_sum(result, 0, second.read_bytes())
        self.assertIn("ZX_ERR_PEER_CLOSED", self._text(result, 1))
        self.assertNotIn("disk0 ", self._text(result, 2))
        self._expect_sum(result, 4, first.read_bytes())
        self._expect_sum(result, 5, second.read_bytes())

    def test_a_device_that_does_not_answer(self) -> None:
        """Its driver gives up and starts anew; another disk works before and after."""
        slow = "if=none,id=slow,driver=null-co,size=1M,read-zeroes=on,throttling.bps-total=512"
        image = self._image("a", 1 << 20)
        result = self.run_commands(
            "measure/disk sum disk0 0 2048",
            "measure/disk sum disk1 0 2048",
            "measure/disk sum disk0 0 2048",
            append="disk.patience=1",
            disks=(image,),
            qemu_args=(f"-drive {slow}", "-device virtio-blk-pci,drive=slow"),
        )
        self._expect_sum(result, 0, image.read_bytes())
        self.assertIn("disk1: the device does not answer", self._text(result, 1))
        self.assertIn("ZX_ERR_PEER_CLOSED", self._text(result, 1))
        self._expect_sum(result, 2, image.read_bytes())
