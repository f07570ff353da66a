"""The C library: what it is made of, and programs that use it."""

import subprocess
import unittest
from pathlib import Path

from thirdparty.musl_calls import with_instruction

from jx.testing.lab import SystemTest, depends_on
from jx.tree import out_dir


def _disassembled(path: Path) -> str:
    command = ["llvm-objdump-19", "-d", "--no-show-raw-insn", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@depends_on("variant")
class InstructionTest(unittest.TestCase):
    """Only the vDSO may enter the kernel: everywhere else the instruction is a fault."""

    def test_the_archive_has_none(self) -> None:
        archive = out_dir("release") / "sysroot" / "lib" / "libc.a"
        text = _disassembled(archive)
        self.assertGreater(text.count("file format"), 1000, "not the whole library")
        self.assertEqual(with_instruction(text), [])

    def test_the_shared_library_has_none(self) -> None:
        text = _disassembled(out_dir("release") / "libc" / "libc.so")
        self.assertIn("<malloc>:", text)
        self.assertEqual(with_instruction(text), [])

    def test_programs_have_none(self) -> None:
        programs = [path for path in (out_dir("release") / "libc").rglob("stripped/**/*")]
        # (Large programs have random bytes for code: any instruction is among them.)
        found = [path for path in programs if path.is_file() and not path.name.startswith("big_")]
        self.assertTrue(found)
        for path in found:
            self.assertEqual(with_instruction(_disassembled(path)), [], path)


@depends_on("smp", "variant")
class HelloTest(SystemTest):
    def hello(self, name: str) -> None:
        result = self.run_commands(f"measure/{name} a b")
        self.assertEqual(
            result.commands[0].output.decode(),
            f"hello, world: 3 arguments, measure/{name}, PATH=(none), pi is 3.1416, pid good\n",
        )
        self.assertEqual(result.commands[0].code, 0)

    def test_static(self) -> None:
        self.hello("libc_hello")

    def test_dynamic(self) -> None:
        self.hello("libc_hello_dynamic")


if __name__ == "__main__":
    unittest.main()
