"""Tests of the choice of sources, of flags, and of what is read from compiled code."""

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from jx.tree import ROOT

from thirdparty import musl, musl_calls
from thirdparty.recipe import RecipeError

_LIBC = ROOT / "sdk" / "libc"
_DEFINITIONS = Path("system/include/libc/operations.def")
_DISASSEMBLY = """\

a/clone.o:	file format elf64-x86-64

Disassembly of section .text:

0000000000000000 <__clone>:
      23:      \tsyscall
      35:      \tsyscall

b/read.o:	file format elf64-x86-64

0000000000000000 <__syscall_cp>:
      23:      \tcallq\t0x28 <__syscall_cp>
"""


def _operations(text: str) -> list[str]:
    return re.findall(r"^OPERATION\((\w+),", text, re.MULTILINE)


class SourcesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        self.places = musl.Places(
            self.root / "m", self.root / "overlay", _LIBC / "system", self.root / "out"
        )

    def _touch(self, *names: str) -> None:
        for name in names:
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")

    def _sources(self) -> list[str]:
        return [str(path.relative_to(self.root)) for path in musl.sources(self.places)]

    def test_the_architectures_own_wins(self) -> None:
        self._touch("m/src/a/one.c", "m/src/a/two.c", "m/src/a/x86_64/two.s", "m/src/a/arm/one.s")
        self._touch("m/crt/crti.c", "m/src/malloc/mallocng/m.c", "m/src/malloc/oldmalloc/m.c")
        self.assertEqual(
            self._sources(),
            ["m/src/a/one.c", "m/src/a/x86_64/two.s", "m/src/malloc/mallocng/m.c"],
        )

    def test_the_overlay_wins_over_both(self) -> None:
        self._touch("m/src/a/one.c", "m/src/a/two.c", "m/src/a/x86_64/two.s")
        self._touch("overlay/src/a/two.c", "overlay/src/a/three.c", "overlay/check/x.c")
        self.assertEqual(
            self._sources(), ["m/src/a/one.c", "overlay/src/a/three.c", "overlay/src/a/two.c"]
        )

    def test_no_sources(self) -> None:
        self.places.source.mkdir()
        with self.assertRaisesRegex(RecipeError, "no sources"):
            musl.sources(self.places)

    def _flags(self, name: str) -> list[str]:
        return musl.flags(self.places, self.places.source / name)

    def test_the_overlays_headers_come_first(self) -> None:
        words = self._flags("src/unistd/read.c")
        folders = [word for word in words if word.startswith("-I")]
        self.assertEqual(folders[0], f"-I{self.places.overlay}/arch/x86_64")
        self.assertIn("-fstack-protector-strong", words)

    def test_nothing_before_the_canary_is_protected(self) -> None:
        for name in ("ldso/dynlink.c", "src/env/__init_tls.c", "src/thread/__set_thread_area.c"):
            self.assertIn("-fno-stack-protector", self._flags(name), name)

    def test_the_linker_is_no_part_of_the_archive(self) -> None:
        self._touch("m/src/a/one.c", "m/ldso/dynlink.c")
        text = musl.ninja_file(self.places, musl.sources(self.places), [])
        archive = next(line for line in text.splitlines() if "libc_musl.a: ar" in line)
        self.assertIn("obj/src/a/one.o", archive)
        self.assertNotIn("dynlink", archive)


@unittest.skipIf(shutil.which("clang-19") is None, "clang-19 is not installed")
class GateTest(unittest.TestCase):
    """What the overlay and the real compiler make of a call is what the report looks for."""

    def _wanted(self, function: str) -> set[str]:
        numbers = "".join(
            f"#define SYS_{name} {index}\n"
            for index, name in enumerate(_operations((_LIBC / _DEFINITIONS).read_text()))
        )
        source = f'#define ENOSYS 38\n{numbers}#include "syscall_arch.h"\n{function}\n'
        with tempfile.TemporaryDirectory() as folder:
            result = f"{folder}/x.o"
            command = ["clang-19", f"--target={musl.TARGET}", "-Os", "-fno-sanitize=safe-stack"]
            command += [f"-I{_LIBC}/overlay/arch/{musl.ARCH}", f"-I{_LIBC}/system/include"]
            command += ["-c", "-x", "c", "-", "-o", result]
            subprocess.run(command, input=source, text=True, check=True)
            listing = subprocess.run(
                ["llvm-nm-19", "-A", "-u", result], capture_output=True, text=True, check=True
            )
            return musl_calls.undefined(listing.stdout)[result]

    def test_a_constant_is_one_function(self) -> None:
        function = "long f(long a) { return __syscall3(SYS_read, a, 1, 2); }"
        self.assertEqual(self._wanted(function), {"sys_read"})

    def test_an_operation_that_is_not_there_is_nothing(self) -> None:
        self.assertEqual(self._wanted("long f(void) { return __syscall0(9999); }"), set())

    def test_any_number_is_the_table(self) -> None:
        self.assertEqual(self._wanted("long f(long n) { return __syscall1(n, 1); }"), {musl_calls.GATE})


class CallsTest(unittest.TestCase):
    def test_operations_among_names(self) -> None:
        names = {"sys_read", "memcpy", "__jx_syscall", "system"}
        self.assertEqual(musl_calls.operations(names), {"read", musl_calls.UNKNOWN})

    def test_undefined_names(self) -> None:
        listing = "o/read.o:                  U __syscall_cp\no/read.o:                  U memcpy\n"
        self.assertEqual(musl_calls.undefined(listing), {"o/read.o": {"__syscall_cp", "memcpy"}})

    def test_only_the_instruction_itself(self) -> None:
        self.assertEqual(musl_calls.with_instruction(_DISASSEMBLY), ["a/clone.o"])

    def test_the_page(self) -> None:
        calls = {"read": {"src/x.c", "src/z.c"}, "futex": {"src/x.c"}}
        page = musl_calls.text(musl_calls.Report(3, calls, ["src/y.s"]))
        self.assertIn("ask the system           2\n", page)
        self.assertIn("operations asked for     2\n", page)
        self.assertIn("    src/y.s\n", page)
        self.assertIn("read: x.c, z.c\n", page)


if __name__ == "__main__":
    unittest.main()
