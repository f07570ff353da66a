"""Functions of real ELF files, and of what is none."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from symbols import elf_symbols

_SOURCE = """
__attribute__((noinline)) static int inner(int x) { return x * 3; }
int outer(int x) { return inner(x) + 1; }
int __outer(int x) __attribute__((alias("outer")));
int data = 1;
"""


class ElfSymbolsTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def _link(self, *options: str) -> Path:
        (self.folder / "a.c").write_text(_SOURCE)
        path = self.folder / "a.so"
        command = ["clang-19", "-O1", "-shared", "-fPIC", "-nostdlib", "-fuse-ld=lld-19", "a.c", "-o", path]
        subprocess.run([*command, *options], cwd=self.folder, check=True)
        return path

    def test_functions(self) -> None:
        path = self._link("-Wl,--build-id=sha1")
        module = elf_symbols.read(path.read_bytes())
        assert module is not None
        self.assertEqual(len(module.build_id), 20)
        answer = subprocess.run(["llvm-nm-19", path], capture_output=True, text=True, check=True)
        lines = [line.split() for line in answer.stdout.splitlines()]
        places = {words[2]: int(words[0], 16) for words in lines if len(words) == 3}
        wanted = [(places["outer"], "outer"), (places["inner"], "inner")]
        self.assertEqual([f for f in module.functions if f[1]], sorted(wanted))
        self.assertEqual(module.functions[-1][1], "")  # the end

    def test_the_base_is_the_first_page(self) -> None:
        whole = elf_symbols.read(self._link("-Wl,--build-id=sha1").read_bytes())
        moved = elf_symbols.read(self._link("-Wl,--build-id=sha1", "-Wl,--image-base=0x40000").read_bytes())
        assert whole is not None and moved is not None
        self.assertEqual(whole.functions, moved.functions)

    def test_what_has_none(self) -> None:
        data = self._link("-Wl,--build-id=sha1").read_bytes()
        self.assertIsNone(elf_symbols.read(b""))
        self.assertIsNone(elf_symbols.read(b"#!/bin/sh\n" * 10))
        self.assertIsNone(elf_symbols.read(data[:1000]))
        for at in (32, 40):  # where its headers are: nowhere
            self.assertIsNone(elf_symbols.read(data[:at] + b"\xff" * 8 + data[at + 8 :]))
        self.assertIsNone(elf_symbols.read(self._link("-Wl,--build-id=none").read_bytes()))
        self.assertIsNone(elf_symbols.read(self._link("-Wl,--build-id=sha1", "-s").read_bytes()))

    def test_the_file_beside_a_stripped_one(self) -> None:
        (self.folder / "stripped" / "test").mkdir(parents=True)
        stripped = self.folder / "stripped" / "test" / "a"
        self.assertEqual(elf_symbols.with_symbols(stripped), stripped)
        (self.folder / "test").mkdir()
        (self.folder / "test" / "a").touch()
        self.assertEqual(elf_symbols.with_symbols(stripped), self.folder / "test" / "a")


if __name__ == "__main__":
    unittest.main()
