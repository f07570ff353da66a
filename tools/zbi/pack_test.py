"""Packs images and reads them back; damages them and expects refusals."""

import contextlib
import io
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bootfs import image
from symbols import elf_symbols, symbol_file
from zbi import container, dump, pack


class PackTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.output = self.root / "out" / "system.zbi"

    def write(self, name: str, content: bytes) -> Path:
        path = self.root / name
        path.write_bytes(content)
        return path

    def pack(self, *args: str) -> bytes:
        self.assertEqual(pack.main(["--output", str(self.output), *args]), 0)
        return self.output.read_bytes()

    def pack_fails(self, *args: str) -> str:
        text = io.StringIO()
        with contextlib.redirect_stderr(text):
            self.assertEqual(pack.main(["--output", str(self.output), *args]), 1)
        self.assertFalse(self.output.exists())
        self.assertEqual(list(self.root.glob("**/*.tmp")), [])
        return text.getvalue()

    def files_of(self, data: bytes) -> dict[str, bytes]:
        (item,) = [i for i in container.read(data) if i.type == container.TYPE_BOOTFS]
        self.assertEqual(item.payload_offset % 4096, 0)
        self.assertEqual(item.extra, len(item.payload))
        return image.read(item.payload)

    def test_equal_files_share_their_place(self) -> None:
        big, other, empty = b"x" * 9000, b"y" * 9000, b""
        files = {"a": big, "b": other, "c/d": big, "e": empty, "f": empty, "g": big[1:]}
        args = []
        for index, (path, content) in enumerate(files.items()):
            args += ["--add", f"{self.write(str(index), content)}={path}"]
        # One file under two names, too.
        args += ["--add", f"{self.root / '5'}=h"]
        data = self.pack(*args)
        self.assertEqual(self.files_of(data), files | {"h": files["g"]})
        (item,) = [i for i in container.read(data) if i.type == container.TYPE_BOOTFS]
        self.assertEqual(len(item.payload), 4096 + 3 * 3 * 4096)

    def test_names_of_functions(self) -> None:
        program, plain = self.root / "program", self.write("plain", b"no program")
        (self.root / "a.c").write_text("int f(void) { return 1; }\n")
        subprocess.run(
            ["clang-19", "-shared", "-nostdlib", "-fuse-ld=lld-19", "-Wl,--build-id", "a.c", "-o", program],
            cwd=self.root, check=True,
        )  # fmt: skip
        stripped = self.root / "stripped"
        stripped.mkdir()
        shutil.copyfile(plain, stripped / "program")
        args = ["--add", f"{stripped / 'program'}=bin/p", "--add", f"{plain}=plain", "--symbols", "symbols"]
        files = self.files_of(self.pack(*args))
        self.assertEqual(sorted(files), ["bin/p", "plain", "symbols"])
        module = elf_symbols.read(program.read_bytes())
        assert module is not None
        self.assertEqual(files["symbols"], symbol_file.write([module]))
        self.assertIn(b"f\0", files["symbols"])
        # Of a file that is not in the image, and not twice.
        args = ["--add", f"{plain}=plain", "--symbols", "symbols", "--symbols-of", str(program)]
        self.assertEqual(self.files_of(self.pack(*args))["symbols"], files["symbols"])
        self.output.unlink()
        self.pack_fails("--add", f"{plain}=symbols", "--symbols", "symbols")

    def test_round_trip(self) -> None:
        rng = random.Random(1)
        for round_ in range(20):
            expected = {}
            args = []
            for index in range(rng.randrange(30)):
                content = rng.randbytes(rng.choice([0, 1, 4095, 4096, 4097, rng.randrange(20000)]))
                path = "d" * rng.randrange(1, 60) + f"/{index}"
                expected[path] = content
                args += ["--add", f"{self.write(str(index), content)}={path}"]
            if round_ % 2:
                args.append("--crc")
            if round_ % 3:
                args += ["--cmdline", "x" * rng.randrange(5000)]
            self.assertEqual(self.files_of(self.pack(*args)), expected)

    def test_same_bytes_every_time(self) -> None:
        path = self.write("a", b"abc")
        args = ("--add", f"{path}=a", "--cmdline", "k=v", "--crc")
        self.assertEqual(self.pack(*args), self.pack(*args))

    def test_empty_image(self) -> None:
        self.assertEqual(self.files_of(self.pack()), {})

    def test_manifest_and_depfile(self) -> None:
        self.write("a", b"1")
        self.write("b c", b"2")
        listing = self.write("m", b"x=a\ny=b c\n")
        dep = self.root / "d"
        data = self.pack("--manifest", str(listing), "--root", str(self.root), "--depfile", str(dep))
        self.assertEqual(self.files_of(data), {"x": b"1", "y": b"2"})
        self.assertIn("b\\ c", dep.read_text())

    def test_cmdline_and_raw_item(self) -> None:
        disk = self.write("disk", b"z" * 5000)
        items = container.read(self.pack("--cmdline", "a", "--cmdline", "b=c", "--item", f"ramdisk={disk}"))
        by_type = {item.type: item for item in items}
        self.assertEqual(by_type[container.TYPE_CMDLINE].payload, b"a b=c\0")
        self.assertEqual(by_type[container.TYPE_RAMDISK].payload, b"z" * 5000)
        self.assertEqual(by_type[container.TYPE_RAMDISK].payload_offset % 4096, 0)

    def test_refusals(self) -> None:
        path = self.write("a", b"1")
        self.assertIn("already there", self.pack_fails("--add", f"{path}=x", "--add", f"{path}=x"))
        self.assertIn("no such file", self.pack_fails("--add", "/nowhere=x"))
        self.assertIn("no such file", self.pack_fails("--add", f"{self.root}=x"))
        self.assertIn("--item", self.pack_fails("--item", "kernel=x"))
        self.pack_fails("--manifest", "/nowhere")

    def test_replace(self) -> None:
        one, two = self.write("1", b"1"), self.write("2", b"2")
        data = self.pack("--replace", "--add", f"{one}=x", "--add", f"{two}=x")
        self.assertEqual(self.files_of(data), {"x": b"2"})

    def test_checksum_catches_damage(self) -> None:
        path = self.write("a", b"1" * 100)
        data = bytearray(self.pack("--add", f"{path}=x", "--crc"))
        data[-4096] ^= 1
        with self.assertRaises(container.ContainerError):
            container.read(bytes(data))

    def test_dump(self) -> None:
        path = self.write("a", b"12345")
        text = "\n".join(dump.describe(self.pack("--add", f"{path}=bin/x", "--cmdline", "k=v")))
        self.assertIn("5 bin/x", text)
        self.assertIn("k=v", text)


if __name__ == "__main__":
    unittest.main()
