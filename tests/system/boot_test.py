"""The boot stages on all sorts of machines, seen from inside by the boot probe.

The probe (boot/probe/probe.c) stands in for the kernel, checks what it can check itself, and prints
the record and every run of its page tables. Here the two are held against each other: the direct map
is exactly the RAM of the map, what is taken lies in usable memory, nothing is both writable and
executable, and the boot image arrives unharmed.
"""

import random
import shutil
import struct
import subprocess
import sys
import time
import unittest
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from jx.guest import Ended, Guest
from jx.machine import OVMF_VARS, BootFiles, Settings
from jx.testing.lab import depends_on, settings_from_environment
from jx.tree import ROOT, out_dir

_MIB = 1 << 20
_DIRECT_MAP = 0xFFFF800000000000
_PAGE_ARRAY = 0xFFFFC00000000000
_IMAGE_BASE = 0xFFFFFFFF80000000
_USABLE, _ACPI_RECLAIM = 1, 2
_KERNEL, _TABLES, _RECORD, _ZBI, _TRAMPOLINE = range(5)
_LIMIT_S = 100.0


@dataclass
class _Range:
    start: int
    length: int
    kind: int = 0
    paddr: int = 0
    rights: str = ""

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass
class _Report:
    """What the probe said."""

    text: str
    values: dict[str, list[int]] = field(default_factory=dict)
    memory: list[_Range] = field(default_factory=list)
    taken: dict[int, _Range] = field(default_factory=dict)
    runs: list[_Range] = field(default_factory=list)
    cmdline: str = ""

    def __post_init__(self) -> None:
        for line in self.text.splitlines():
            name, _, rest = line.partition(" ")
            if name == "cmdline":
                self.cmdline = rest
                continue
            try:
                a, b, c = (int(word, 16) for word in rest.split())
            except ValueError:
                continue
            if name == "memory":
                self.memory.append(_Range(a, b, kind=c))
            elif name == "taken":
                self.taken[a] = _Range(b, c)
            elif name.startswith("map_"):
                self.runs.append(_Range(a, c, paddr=b, rights=name.removeprefix("map_")))
            else:
                self.values[name] = [a, b, c]


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, with those that adjoin made one."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if out and out[-1][1] == start:
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return out


@depends_on("variant")
class BootTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory(prefix="jx-boot-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        asked = settings_from_environment()
        self.base = Settings(variant=asked.variant, smp=1, cpu="max")

    def _zbi(self, size: int) -> tuple[Path, int, int]:
        """A file of this size, with its first and last word."""
        first, last = random.getrandbits(64), random.getrandbits(64)
        path = self.folder / "system.zbi"
        with path.open("wb") as file:
            file.truncate(size)
            file.write(struct.pack("<Q", first))
            file.seek(size - 8)
            file.write(struct.pack("<Q", last))
        return path, first, last

    def _files(self, settings: Settings, zbi: Path) -> BootFiles:
        kernel = out_dir(settings.variant) / "kernel" / "boot_probe.elf"
        if not settings.uefi:
            return BootFiles(kernel, zbi, settings.append)
        esp, variables = self.folder / "esp.img", self.folder / "vars.fd"
        shutil.copyfile(OVMF_VARS, variables)
        cmdline = self.folder / "cmdline.txt"
        cmdline.write_text(settings.append + "\n")
        loader = out_dir(settings.variant) / "uefi" / "BOOTX64.efi"
        words = ["--output", esp, "--loader", loader, "--kernel", kernel, "--zbi", zbi]
        tool = ROOT / "tools/esp/make_esp.py"
        subprocess.run([sys.executable, tool, *words, "--cmdline", cmdline], check=True)
        return BootFiles(kernel, zbi, settings.append, esp=esp, vars=variables)

    def probe(self, zbi_bytes: int = 100_016, **changes: object) -> _Report:
        """Boots the probe and checks everything that must hold on any machine."""
        settings = self.base.with_changes(**changes)
        zbi, first, last = self._zbi(zbi_bytes)
        deadline = time.monotonic() + _LIMIT_S
        with Guest(settings, self._files(settings, zbi)) as guest:
            end = None
            while not isinstance(end, Ended):
                end = guest.next(deadline)
                self.assertIsNotNone(end, f"the probe hangs:\n{guest.debug_log()}")
            report = _Report(guest.debug_log())
        self.assertEqual(end.how, "clean", f"{end}\n{report.text}")
        self.assertIn("\nprobe ok\n", report.text)
        self.assertNotIn("\nbad ", report.text)
        self.assertTrue(report.text.lstrip().startswith("!"))
        self.assertEqual(report.values["zbi_words"], [first, last, zbi_bytes])
        self.assertEqual(report.cmdline, settings.append)
        self._check_maps(report)
        self._check_taken(report)
        return report

    def _check_maps(self, report: _Report) -> None:
        ram = [(m.start, m.end) for m in report.memory if m.kind in (_USABLE, _ACPI_RECLAIM)]
        direct = [run for run in report.runs if _DIRECT_MAP <= run.start < _PAGE_ARRAY]
        for run in direct:
            self.assertEqual(run.start - _DIRECT_MAP, run.paddr)
            self.assertIn(run.rights, ("rw", "r"))
        mapped = [(run.paddr, run.paddr + run.length) for run in direct]
        self.assertEqual(_joined(ram), _joined(mapped))
        image = [run for run in report.runs if run not in direct]
        self.assertEqual([run.rights for run in image], ["rx", "r", "rw", "rw"])
        # The unmapped page between the last two is the boot stack's guard.
        self.assertEqual(image[2].end + 4096, image[3].start)
        self.assertEqual(image[2].paddr + image[2].length + 4096, image[3].paddr)
        # No alias of text or read-only data can be written.
        readonly = [(run.paddr, run.paddr + run.length) for run in direct if run.rights == "r"]
        self.assertEqual(readonly, [(image[0].paddr, image[1].paddr + image[1].length)])

    def _check_taken(self, report: _Report) -> None:
        usable = [m for m in report.memory if m.kind == _USABLE]
        spans = sorted(report.taken.values(), key=lambda span: span.start)
        for span in spans:
            self.assertTrue(any(m.start <= span.start and span.end <= m.end for m in usable), span)
        for before, after in zip(spans, spans[1:], strict=False):
            self.assertLessEqual(before.end, after.start)
        self.assertLessEqual(report.taken[_TRAMPOLINE].end, _MIB)
        for low, high in zip(report.memory, report.memory[1:], strict=False):
            self.assertLessEqual(low.end, high.start)

    def test_direct_small(self) -> None:
        report = self.probe(mem="32M")
        self.assertLess(report.taken[_TABLES].length, 20 * 4096)

    def test_direct_odd_size(self) -> None:
        self.probe(mem="99M", machine="pc")

    def test_direct_8g(self) -> None:
        report = self.probe(mem="8G")
        self.assertGreater(max(m.end for m in report.memory if m.kind == _USABLE), 8 << 30)

    def test_direct_8g_default_cpu(self) -> None:
        """No 1 GiB pages, no RDRAND."""
        report = self.probe(mem="8G", cpu="qemu64")
        self.assertEqual(report.values["entropy"][0], 1)

    def test_direct_hole_in_ram(self) -> None:
        self.probe(mem="777M", machine="q35,max-ram-below-4g=256M")

    def test_direct_huge_boot_image(self) -> None:
        """200 MiB of it in 256 MiB: it cannot have been copied."""
        self.probe(zbi_bytes=200 * _MIB, mem="256M")

    def test_direct_long_command_line(self) -> None:
        self.probe(append=" ".join(f"word{i}=value" for i in range(120)))

    def test_kaslr(self) -> None:
        places = {tuple(self.probe().values["image"][:1]) for _ in range(3)}
        self.assertEqual(len(places), 3)
        for _ in range(2):
            report = self.probe(append="kaslr=off")
            self.assertEqual(report.values["image"][1], _IMAGE_BASE)
            self.assertEqual(report.values["boot"][1], 0)

    def test_boot_is_short(self) -> None:
        """From the first instruction to the jump, in instructions: nothing walks the RAM."""
        report = self.probe(mem="1G", icount=True)
        self.assertLess(report.values["boot"][2], 400_000)
        self.assertGreater(report.values["boot"][2], 1_000)

    def test_uefi_small(self) -> None:
        report = self.probe(mem="96M", uefi=True)
        self.assertEqual(report.values["boot"][0], 2)
        self.assertGreater(report.values["framebuffer"][1], 0)

    def test_uefi_pc_huge_boot_image(self) -> None:
        self.probe(zbi_bytes=200 * _MIB, mem="512M", uefi=True, machine="pc")

    def test_uefi_8g_default_cpu_rng(self) -> None:
        settings = {"mem": "8G", "uefi": True, "cpu": "qemu64", "append": "kaslr=off a"}
        report = self.probe(qemu_args=("-device virtio-rng-pci",), **settings)
        self.assertEqual(report.values["entropy"][0], 1 | 8)
        self.assertEqual(report.values["image"][1], _IMAGE_BASE)


if __name__ == "__main__":
    unittest.main()
