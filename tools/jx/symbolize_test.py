"""Tests of symbolize.py, with a fake look-up and with the real one."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from jx.symbolize import FrameStream, Symbolizer, llvm_lookup


class SymbolizeTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.kernel = self.folder / "kernel.elf"
        self.kernel.touch()
        self.asked: list[tuple[str, int]] = []

    def _lookup(self, image: Path, address: int) -> list[str]:
        self.asked.append((image.name, address))
        return [f"f{address:x} at a.c:1", "(inlined by) g at a.c:2"]

    def _symbolizer(self) -> Symbolizer:
        return Symbolizer(self.kernel, [self.folder / "none", self.folder], self._lookup)

    def test_bias_and_return_addresses(self) -> None:
        text = "x\n{{{bt:0:0xffff800000001000}}}\n{{{bt:1:0xffff800000002000}}}\n"
        text += "{{{bias:0xffff800000000000}}}\n"
        report = self._symbolizer().report(text)
        self.assertEqual(self.asked, [("kernel.elf", 0x1000), ("kernel.elf", 0x1FFF)])
        self.assertIn("#0  0xffff800000001000 f1000 at a.c:1\n    (inlined by) g", report)
        self.assertTrue(report.startswith("x\n"))

    def test_without_bias_the_address_stays(self) -> None:
        line = self._symbolizer().line("{{{bt:0:0x1000}}}")
        self.assertEqual(line, "#0  0x0000000000001000")
        self.assertEqual(self.asked, [])

    def test_program(self) -> None:
        (self.folder / "hello").touch()
        self._symbolizer().line("{{{bt:2:0x1235:bin/hello}}}")
        self._symbolizer().line("{{{bt:2:0x1235:../gone}}}")
        (self.folder / "test").mkdir()
        (self.folder / "test" / "vmo").touch()
        self._symbolizer().line("{{{bt:0:0x10:/boot/test/vmo}}}")
        self.assertEqual(self.asked, [("hello", 0x1234), ("vmo", 0x10)])

    def test_the_c_library_has_another_name_in_the_image(self) -> None:
        (self.folder / "libc.so").touch()
        symbolizer = Symbolizer(self.kernel, [self.folder], lambda image, _: [f"{image.name} at ??:0"])
        self.assertEqual(symbolizer.line("{{{bt:0:0x10:ld.so.1}}}"), "#0  0x0000000000000010 (ld.so.1) libc.so")
        named = "#0  memset+0x1c (ld.so.1+0x10)"  # the machine's name says as much, and more
        self.assertEqual(symbolizer.line(named), named)

    def test_what_was_added_comes_first(self) -> None:
        added = []
        for name, place in (("mine", "bin/hello"), ("mine.so", "lib/libx.so"), ("data", "d/hello")):
            (self.folder / name).touch()
            added.append((self.folder / name, place))
        for name in ("hello", "other"):
            (self.folder / name).touch()
        symbolizer = Symbolizer(self.kernel, [self.folder], self._lookup, added)
        for program in ("hello", "/boot/bin/hello", "libx.so", "d/hello", "other"):
            symbolizer.line(f"{{{{{{bt:0:0x10:{program}}}}}}}")
        asked = [name for name, _ in self.asked]
        self.assertEqual(asked, ["mine", "mine", "mine.so", "data", "other"])

    def test_a_stream_in_any_pieces(self) -> None:
        (self.folder / "hello").touch()
        text = b"crash: {x}\r\n{{{bt:2:0x1235:bin/hello}}}\r\n{{{ {{{bt: end {\n{{{bt"
        want = (b"crash: {x}\r\n#2  0x0000000000001235 (bin/hello) f1234 at a.c:1\r\n"
                b"    (inlined by) g at a.c:2\r\n{{{ {{{bt: end {\n")
        for size in range(1, len(text) + 1):
            stream = FrameStream(self._symbolizer(), b"\r\n")
            pieces = [text[at:at + size] for at in range(0, len(text), size)]
            got = b"".join(stream.feed(piece) for piece in pieces)
            self.assertEqual((got, stream.flush()), (want, b"{{{bt"), size)

    def test_names_of_the_machine(self) -> None:
        (self.folder / "hello").touch()
        symbolizer = self._symbolizer()
        self.assertEqual(
            symbolizer.line("#2  main+0x1b (hello+0x1235)"),
            "#2  0x0000000000001235 (hello) f1234 at a.c:1\n    (inlined by) g at a.c:2",
        )
        for same in ("#0  main+0x1b (gone+0x1235)", "x #0  main+0x1b (hello+0x1)", "#define a (b)"):
            self.assertEqual(symbolizer.line(same), same)

    def test_names_of_the_machine_in_any_pieces(self) -> None:
        (self.folder / "hello").touch()
        text = b"a\r\n#1  main+0x1b (hello+0x1235)\r\n# x\n#10 f+0x2 (gone+0x7)\r\ny #1  main+0x1b (hello+0x1235)\r\n#"
        want = (b"a\r\n#1  0x0000000000001235 (hello) f1234 at a.c:1\r\n    (inlined by) g at a.c:2\r\n"
                b"# x\n#10 f+0x2 (gone+0x7)\r\ny #1  main+0x1b (hello+0x1235)\r\n")
        for size in range(1, len(text) + 1):
            stream = FrameStream(self._symbolizer(), b"\r\n")
            pieces = [text[at:at + size] for at in range(0, len(text), size)]
            got = b"".join(stream.feed(piece) for piece in pieces)
            self.assertEqual((got, stream.flush()), (want, b"#"), size)

    def test_a_stream_holds_nothing_else_back(self) -> None:
        stream = FrameStream(self._symbolizer())
        self.assertEqual(stream.feed(b"jacinth> "), b"jacinth> ")
        self.assertEqual(stream.feed(b"{"), b"{")  # the echo of a key

    @unittest.skipUnless(shutil.which("clang-19"), "clang-19 is not installed")
    def test_real_symbolizer(self) -> None:
        source, image = self.folder / "prog.c", self.folder / "prog"
        source.write_text("int spot(void) { return 3; }\n")
        subprocess.run(
            ["clang-19", "-g", "-shared", "-nostdlib", str(source), "-o", str(image)], check=True
        )
        names = subprocess.run(["llvm-nm-19", str(image)], check=True, capture_output=True, text=True)
        lines = [line.split() for line in names.stdout.splitlines()]
        address = next(int(line[0], 16) for line in lines if line[-1] == "spot")
        self.assertRegex(llvm_lookup(image, address)[0], r"^spot at .*prog\.c:1")


if __name__ == "__main__":
    unittest.main()
