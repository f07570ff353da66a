"""Tests of the choice of sources, of flags, and of what is read from compiled code."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from jx.tree import ROOT

from thirdparty import musl, musl_calls
from thirdparty.musl_calls import Call
from thirdparty.recipe import RecipeError

_OVERLAY = ROOT / "sdk" / "libc" / "overlay"
_NUMBERS = "#define __NR_read\t0\n#define __NR_futex\t\t202\n#define __NR_x (1)\n"
_CODE = """\
define dso_local i64 @read(i32 noundef %0, ptr noundef %1) local_unnamed_addr #0 {
  %6 = tail call i64 @__syscall_cp(i64 noundef 0, i64 noundef %4, i64 noundef 0) #2
  %7 = tail call i64 @__syscall_cp(i64 noundef 0, i64 noundef %5, i64 noundef 0) #2
define hidden range(i32 -5, 5) i32 @lock(ptr noundef %0) #0 {
  call void @helper(i64 noundef 202)
  %4 = call i64 @__jx_syscall(i64 noundef 202, i64 noundef %3, i64 noundef 1) #5
  %9 = call i64 @__jx_syscall(i64 noundef %8, i64 noundef %3) #5
  %10 = call i64 @__jx_syscall(i64 noundef 7, i64 noundef %3) #5
declare hidden i64 @__jx_syscall(i64 noundef, i64 noundef) local_unnamed_addr #1
"""
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


class SourcesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        self.places = musl.Places(self.root / "m", _OVERLAY, self.root / "out")

    def _touch(self, *names: str) -> None:
        for name in names:
            path = self.places.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")

    def test_the_architectures_own_wins(self) -> None:
        self._touch("src/a/one.c", "src/a/two.c", "src/a/x86_64/two.s", "src/a/arm/one.s")
        self._touch("crt/crti.c", "crt/x86_64/crti.s")
        self._touch("src/malloc/mallocng/m.c", "src/malloc/oldmalloc/m.c")
        self.assertEqual(
            [str(path) for path in musl.sources(self.places.source)],
            ["crt/x86_64/crti.s", "src/a/one.c", "src/a/x86_64/two.s", "src/malloc/mallocng/m.c"],
        )

    def test_no_sources(self) -> None:
        self.places.source.mkdir()
        with self.assertRaisesRegex(RecipeError, "no sources"):
            musl.sources(self.places.source)

    def test_the_overlay_comes_first(self) -> None:
        words = musl.command(self.places, Path("src/unistd/read.c"))
        folders = [word for word in words if word.startswith("-I")]
        self.assertEqual(folders[0], f"-I{_OVERLAY}/arch/x86_64")
        self.assertIn("-fstack-protector-strong", words)

    def test_nothing_before_the_canary_is_protected(self) -> None:
        for name in ("crt/Scrt1.c", "ldso/dynlink.c", "src/env/__init_tls.c"):
            self.assertIn("-fno-stack-protector", musl.command(self.places, Path(name)), name)


@unittest.skipIf(shutil.which("clang-19") is None, "clang-19 is not installed")
class OverlayTest(unittest.TestCase):
    """What the overlay and the real compiler make of a call is what the report looks for."""

    def test_calls_are_found_where_they_are(self) -> None:
        source = """
            #include "syscall_arch.h"
            long (__syscall_cp)(long, long, long, long, long, long, long);
            long plain(void) { return __syscall2(202, 1, 2); }
            long point(long a) { return (__syscall_cp)(0, a, 0, 0, 0, 0, 0); }
            long any(long n) { return __syscall6(n, 1, 2, 3, 4, 5, 6); }
        """
        command = ["clang-19", f"--target={musl.TARGET}", "-Os", "-fno-sanitize=safe-stack"]
        command += ["-S", "-emit-llvm"]
        command += [f"-I{_OVERLAY}/arch/{musl.ARCH}", "-x", "c", "-", "-o", "-"]
        answer = subprocess.run(
            command, input=source, capture_output=True, text=True, check=True
        )
        found = musl_calls.calls_of(answer.stdout, "x.c", {0: "read", 202: "futex"})
        self.assertEqual(
            sorted((one.function, one.operation, one.is_cancellation_point) for one in found),
            [
                ("any", musl_calls.UNKNOWN, False),
                ("plain", "futex", False),
                ("point", "read", True),
            ],
        )


class CallsTest(unittest.TestCase):
    def test_numbers(self) -> None:
        self.assertEqual(musl_calls.numbers(_NUMBERS), {0: "read", 202: "futex"})

    def test_each_call_once(self) -> None:
        self.assertEqual(
            musl_calls.calls_of(_CODE, "x.c", musl_calls.numbers(_NUMBERS)),
            [
                Call("read", "read", "x.c", True),
                Call("futex", "lock", "x.c", False),
                Call(musl_calls.UNKNOWN, "lock", "x.c", False),
                Call("7", "lock", "x.c", False),
            ],
        )

    def test_undefined_names(self) -> None:
        listing = "o/read.o:                  U __syscall_cp\no/read.o:                  U memcpy\n"
        self.assertEqual(musl_calls.undefined(listing), {"o/read.o": {"__syscall_cp", "memcpy"}})

    def test_only_the_instruction_itself(self) -> None:
        self.assertEqual(musl_calls.with_instruction(_DISASSEMBLY), ["a/clone.o"])

    def test_the_page(self) -> None:
        calls = musl_calls.calls_of(_CODE, "src/x.c", musl_calls.numbers(_NUMBERS))
        page = musl_calls.text(musl_calls.Report(3, ["src/x.c"], ["src/y.s"], calls))
        self.assertIn("functions that ask       2\n", page)
        self.assertIn("cancellation points      1\n", page)
        self.assertIn("operations asked for     3\n", page)
        self.assertIn("    src/y.s\n", page)
        self.assertIn("read: read* (x.c)\n", page)


if __name__ == "__main__":
    unittest.main()
