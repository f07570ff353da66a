"""Builds a small version of the big program, runs it here, and damages it to see that it notices."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TREE / "tools"))

from genelf import big, split_rel

COMPILE = [
    "clang-19", "--target=x86_64-unknown-linux-gnu", "-std=c23", "-O1", "-ffreestanding", "-fPIC",
    "-fvisibility=hidden", "-fno-stack-protector", "-nostdlibinc", "-Wall", "-Wextra", "-Werror",
    "-ffunction-sections", "-fdata-sections",
]  # fmt: skip
LINK = [
    "ld.lld-19", "-pie", "--no-dynamic-linker", "-z", "pack-relative-relocs", "-z", "separate-code",
    "-z", "now", "--gc-sections", "--hash-style=gnu", "--section-start=.data=0x40000000",
]  # fmt: skip
SOURCES = [
    "tests/user/big/linux_start.c",
    "tests/user/big/big_sum.c",
    "sdk/lib/elf/elf_relocate.c",
]
INCLUDES = ["sdk/lib/elf/include", "sdk/lib/elf/x86", "tests/user/big"]


def build(folder: Path) -> Path:
    """The program before the split."""
    includes = [f"-I{folder}"] + [f"-I{TREE / path}" for path in INCLUDES]
    objects = []
    for source in [TREE / path for path in SOURCES] + [folder / "big_image.S"]:
        target = folder / (source.stem + ".o")
        options = COMPILE if source.suffix == ".c" else COMPILE[:2]
        subprocess.run([*options, *includes, "-c", source, "-o", target], check=True)
        objects.append(target)
    program = folder / "unsplit"
    subprocess.run([*LINK, *objects, "-o", program], check=True)
    return program


class BigTest(unittest.TestCase):
    folder: Path
    image: big.Image
    unsplit: Path
    program: bytes
    moved: int

    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.image = big.Image(big.shape_for(2, functions=8, pointers=500, odd_pointers=60), seed=7)
        big.write_all(cls.image, cls.folder)
        cls.unsplit = build(cls.folder)
        cls.program, cls.moved = split_rel.split(cls.unsplit.read_bytes())

    def run_bytes(self, data: bytes) -> subprocess.CompletedProcess[str]:
        path = self.folder / "program"
        path.write_bytes(data)
        path.chmod(0o755)
        return subprocess.run([path], capture_output=True, text=True, timeout=30)

    def test_prints_the_expected_sum(self) -> None:
        for data in (self.unsplit.read_bytes(), self.program):
            done = self.run_bytes(data)
            self.assertEqual(done.returncode, 0)
            self.assertEqual(done.stdout, self.image.expected_line())
            self.assertEqual(done.stdout, (self.folder / "big.expected").read_text())

    def test_has_all_three_tables_and_a_hole(self) -> None:
        program = split_rel.Program(self.program)
        tags = dict(program.dynamic())
        self.assertEqual(self.moved, 30)
        self.assertEqual(tags[split_rel.DT_RELSZ], 30 * 16)
        self.assertGreaterEqual(tags[split_rel.DT_RELASZ], 30 * 24)
        self.assertGreater(tags[35], 0)  # DT_RELRSZ
        gaps = [b.vaddr - a.vaddr - a.file_len for a, b in zip(program.loads, program.loads[1:])]
        self.assertGreater(max(gaps), 512 << 20)
        self.assertLess(len(self.program), 4 << 20)

    def test_every_part_counts(self) -> None:
        """One changed byte of contents anywhere, or one lost relocation, is noticed."""
        blob = self.image.blob
        for page in range(0, self.image.page_count, 37):
            at = self.program.find(blob[page * 4096 : page * 4096 + 64])
            self.assertGreater(at, 0)
            damaged = bytearray(self.program)
            damaged[at + 5] ^= 1
            self.assertEqual(self.run_bytes(bytes(damaged)).returncode, 1)

    def test_lost_rel_table_is_noticed(self) -> None:
        program = split_rel.Program(self.program)
        program.set_dynamic([e for e in program.dynamic() if e[0] != split_rel.DT_REL])
        self.assertNotEqual(self.run_bytes(bytes(program.data)).returncode, 0)

    def test_swapped_pages_change_the_sum(self) -> None:
        shape = big.shape_for(1, functions=8, pointers=0, odd_pointers=0)
        image = big.Image(shape, 3)
        before = image.sum()
        words = image.words
        words[0:512], words[512:1024] = words[512:1024], words[0:512]
        self.assertNotEqual(image.sum(), before)

    def test_same_seed_same_image(self) -> None:
        shape = big.shape_for(1, functions=8, pointers=10, odd_pointers=4)
        self.assertEqual(big.Image(shape, 3).assembly(), big.Image(shape, 3).assembly())
        self.assertNotEqual(big.Image(shape, 3).sum(), big.Image(shape, 4).sum())

    def test_split_refuses(self) -> None:
        for data in (b"", b"#!/bin/sh\n", self.program):
            with self.assertRaises(split_rel.SplitError):
                split_rel.split(data)


if __name__ == "__main__":
    unittest.main()
