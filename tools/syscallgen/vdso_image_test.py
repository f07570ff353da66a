"""Tests of the vDSO's checks: a small image that passes, and one broken image for each rule."""

import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from syscallgen import emit_vdso, vdso_image  # noqa: E402
from syscallgen.parser import parse  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
INTERFACE = parse(ROOT / "syscall" / "defs" / "types.def", [HERE / "testdata" / "sample.def"])

CONSTANTS = """
    .section .rodata, "a", @progbits
    .globl vdso_constants
    .hidden vdso_constants
    .type vdso_constants, @object
vdso_constants:
    .zero 64
    .size vdso_constants, 64
"""
# The one call that lives in the vDSO.
TICKS = """
    .text
    .globl zx_sample_ticks, _zx_sample_ticks
zx_sample_ticks:
_zx_sample_ticks:
    ret
"""
LINK = ["-shared", "-m", "elf_x86_64", "-soname", "libzircon.so", "-Bsymbolic", "-z", "rodynamic",
        "-z", "norelro", "-z", "separate-loadable-segments", "-z", "max-page-size=4096",
        "--hash-style=gnu",
        "--version-script=" + str(ROOT / "sdk" / "vdso" / "exports.map")]


def link(extra: str = "", *, stubs: str = "", flags: list[str] | None = None) -> bytes:
    """Assembles the sample's stubs with `extra` and links them as the build does."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "a.S"
        source.write_text((stubs or emit_vdso.stubs(INTERFACE)) + CONSTANTS + TICKS + extra)
        subprocess.run(["clang-19", "--target=x86_64-unknown-linux-gnu", "-c", str(source), "-o",
                        f"{folder}/a.o"], check=True)
        subprocess.run(["ld.lld-19", *LINK, *(flags or []), f"{folder}/a.o", "-o",
                        f"{folder}/a.so"], check=True)
        return (Path(folder) / "a.so").read_bytes()


@unittest.skipUnless(shutil.which("clang-19") and shutil.which("ld.lld-19"), "no clang")
class VdsoImageTest(unittest.TestCase):
    """Each rule, kept and broken."""

    def refuse(self, pattern: str, data: bytes) -> None:
        with self.assertRaisesRegex(vdso_image.ImageError, pattern):
            vdso_image.check(data, INTERFACE)

    def test_a_good_image_passes(self) -> None:
        data = link()
        layout = vdso_image.check(data, INTERFACE)
        self.assertEqual(layout.size % 4096, 0)
        self.assertEqual(len(layout.return_offsets), len(INTERFACE.numbered))
        for call in INTERFACE.numbered:
            at = layout.return_offsets[call.name]
            self.assertEqual(data[at - 2:at], b"\x0f\x05", call.name)
            # The number is loaded right before: mov $number, %eax.
            load = b"\xb8" + struct.pack("<I", call.number)
            self.assertEqual(data[at - 7:at - 2], load, call.name)

    def test_the_image_is_what_is_mapped_and_no_more(self) -> None:
        data = link()
        layout = vdso_image.check(data, INTERFACE)
        packed = vdso_image.image(data, layout)
        self.assertEqual(len(packed), layout.size)
        self.assertEqual(packed[layout.constants_offset:layout.constants_offset + 64], bytes(64))
        self.assertEqual(packed[40:48], bytes(8))  # no section table
        at = layout.return_offsets["sample_poke"]
        self.assertEqual(packed[at - 2:at], b"\x0f\x05")

    def test_table_names_every_number(self) -> None:
        text = vdso_image.table(INTERFACE, vdso_image.check(link(), INTERFACE))
        for call in INTERFACE.numbered:
            self.assertIn(f"[ZX_SYS_{call.name}] = 0x", text)

    def test_writable_data_is_refused(self) -> None:
        self.refuse("not R, RX", link('    .data\n    .quad 1\n'))

    def test_relocations_are_refused(self) -> None:
        text = "    .section .rodata\n    .quad vdso_constants\n"
        self.refuse("RELA", link(text, flags=["-z", "notext"]))

    def test_imports_are_refused(self) -> None:
        text = "    .text\n    call memcpy@plt\n"
        self.refuse("imports memcpy|JMPREL|RELA|not R, RX", link(text))

    def test_thread_local_storage_is_refused(self) -> None:
        self.refuse("thread-local", link('    .section .tdata, "awT", @progbits\n    .quad 1\n'))

    def test_another_syscall_instruction_is_refused(self) -> None:
        self.refuse("disagree", link("    .text\n    syscall\n"))

    def test_hidden_syscall_bytes_are_refused(self) -> None:
        self.refuse("disagree", link("    .text\n    mov $0x050f, %eax\n"))

    def test_a_missing_stub_is_refused(self) -> None:
        text = emit_vdso.stubs(INTERFACE).replace("syscall_return_sample_poke", "elsewhere")
        self.refuse("no symbol", link(stubs=text))

    def test_a_missing_name_is_refused(self) -> None:
        name = "_zx_sample_poke"
        text = emit_vdso.stubs(INTERFACE).replace(f".globl {name}", f".hidden {name}")
        self.refuse("exports differ.* _zx_sample_poke", link(stubs=text))

    def test_unaligned_segments_are_refused(self) -> None:
        self.refuse("file offset|not R, RX", link(flags=["-z", "noseparate-code"]))


if __name__ == "__main__":
    unittest.main()
