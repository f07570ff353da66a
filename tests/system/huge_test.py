"""Programs as large as memory and larger, from a disk: what their load costs, and that they run."""

import re
import shutil
import subprocess
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from genelf import sized
from jx import build, disk
from jx.script import ScriptResult
from jx.testing.lab import SystemTest, depends_on, limit
from jx.tree import ROOT, out_dir
from thirdparty import npm
from thirdparty.recipe import RecipeError

_MIB = 1 << 20
_INTERPRETER = Path("/lib64/ld-linux-x86-64.so.2")


class HugeTestCase(SystemTest):
    """A disk with a large program on it."""

    def setUp(self) -> None:
        super().setUp()
        if self.settings.machine == "microvm":
            self.skipTest("the machine has no PCI bus")
        folder = TemporaryDirectory(prefix="jx-huge-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.files, self.image = self.folder / "files", self.folder / "image"
        self.files.mkdir()

    def make(self, size: int) -> None:
        disk.create(self.files, self.image, size)

    def add_huge(self) -> str:
        """The program of 128 MiB that checks itself; the line that it must print."""
        variant = self.settings.variant
        build.build(variant, ["big/huge", "big/huge.expected"])
        shutil.copy(out_dir(variant) / "big" / "huge", self.files / "huge")
        return (out_dir(variant) / "big" / "huge.expected").read_text()

    def run_shell(self, *lines: str, **changes: object) -> ScriptResult:
        commands = [f'sh -c "{line}"' for line in lines]
        return self.run_commands(*commands, disks=(self.image,), seconds=270, **changes)


@unittest.skipUnless(_INTERPRETER.exists(), "no interpreter for the programs")
@depends_on("variant")
class LoadTest(HugeTestCase):
    """Up to the first instruction, in the launcher's Linux mode."""

    def costs(self, program: Path) -> list[dict[str, int]]:
        """Of a cold load, and of one after it."""
        for path in self.files.iterdir():
            path.unlink()
        subprocess.run(["cp", "--sparse=always", str(program), str(self.files / "program")], check=True)
        shutil.copy(_INTERPRETER, self.files / "ld.so")
        self.make(program.stat().st_size + 64 * _MIB)
        line = "/boot/measure/linux_load /data/program /data/ld.so load"
        found = []
        for warm in (False, True):
            result = self.run_shell("ls /data", *[line] * (2 if warm else 1), mem="256M")
            self.assertEqual([c.code for c in result.commands], [0] * len(result.commands), result.commands)
            found.append({name: int(value) for name, value in result.values.items()})
            self.image.unlink() if warm else self.make(program.stat().st_size + 64 * _MIB)
        return found

    @limit(280)
    def test_the_same_for_every_size(self) -> None:
        programs = []
        for size in (1 << 20, 1 << 30):
            path = self.folder / f"{size}"
            sized.write(path, size)
            programs.append(path)
        try:
            programs.append(npm.fetch(npm.read_recipe(ROOT / "third_party" / "bun" / "bun.json"), npm.cache()))
        except RecipeError as error:
            print(f"without the program that others made: {error}")
        cold_bytes = []
        for program in programs:
            cold, warm = self.costs(program)
            self.assertLessEqual(cold["load_reads"], 32, program)
            self.assertLessEqual(cold["load_bytes"], _MIB, program)
            for costs in (cold, warm):
                self.assertLessEqual(costs["load_private"], 64 << 10, program)
                self.assertLessEqual(costs["load_heap"], 128 << 10, program)
            self.assertEqual((warm["load_reads"], warm["load_bytes"]), (0, 0), program)
            cold_bytes.append(cold["load_bytes"])
        mean = sum(cold_bytes) / len(cold_bytes)
        for count in cold_bytes:
            self.assertLessEqual(abs(count - mean), mean / 10, cold_bytes)

    @limit(280)
    def test_each_page_is_the_files(self) -> None:
        """Of one that nobody here wrote, on a machine smaller than it is: where it should be, and what."""
        try:
            program = npm.fetch(npm.read_recipe(ROOT / "third_party" / "bun" / "bun.json"), npm.cache())
        except RecipeError as error:
            self.skipTest(str(error))
        self.assertEqual(program.stat().st_size, 107_394_952)
        shutil.copy(program, self.files / "program")
        shutil.copy(_INTERPRETER, self.files / "ld.so")
        self.make(160 * _MIB)
        result = self.run_shell("/boot/measure/linux_load /data/program /data/ld.so", mem="96M")
        text = result.commands[0].output.decode()
        self.assertRegex(text, r"26651 pages of the program, 7 of its gaps, \d+ pages of the interpreter; 0 differ")
        self.assertEqual(result.commands[0].code, 0)
        self.assertLessEqual(result.values["load_private"], 64 << 10)


@depends_on("variant", "smp")
class RunTest(HugeTestCase):
    """128 MiB that run."""

    @limit(280)
    def test_on_a_third_of_its_memory_beside_one_who_takes_all(self) -> None:
        expected = self.add_huge()
        self.make(160 * _MIB)
        result = self.run_shell(
            "/boot/measure/hog 3072 & sleep 1; launch --stats /data/huge; kill %1", mem="48M"
        )
        text = result.commands[0].output.decode()
        self.assertIn(expected, text)
        self.assertRegex(text, r"hog: [1-9]\d{4} KiB")
        self.assertRegex(text, r"run .* [1-9]\d* evicted")

    @limit(280)
    def test_two_readers_and_a_launch_at_once(self) -> None:
        expected = self.add_huge()
        (self.files / "text").write_bytes(bytes(range(256)) * 65536)
        self.make(192 * _MIB)
        result = self.run_shell(
            "cksum /data/text & cksum /data/huge & launch /data/huge; wait; cksum /data/text", mem="128M"
        )
        text = result.commands[0].output.decode()
        self.assertIn(expected, text)
        for name in ("text", "huge"):
            sums = subprocess.run(["cksum", name], cwd=self.files, capture_output=True, text=True, check=True)
            line = sums.stdout.replace(name, f"/data/{name}").strip()
            self.assertEqual(text.count(line), 2 if name == "text" else 1, text)

    @limit(280)
    def test_a_disk_that_fails_half_way(self) -> None:
        self.add_huge()
        (self.files / "other").write_text("sound\n")
        self.make(160 * _MIB)
        listed = subprocess.run(["debugfs", "-R", "blocks /huge", str(self.image)], capture_output=True, text=True, check=True)
        blocks = [int(word) for word in listed.stdout.split()]
        size = int(re.search(r"Block size: +(\d+)", subprocess.run(
            ["dumpe2fs", "-h", str(self.image)], capture_output=True, text=True, check=True).stdout)[1])
        sector = blocks[len(blocks) // 2] * size // 512
        result = self.run_commands(
            'sh -c "launch /data/huge"', 'sh -c "cat /data/other; echo $?"',
            qemu_args=(
                f"-blockdev driver=file,filename={self.image},node-name=file -blockdev driver=blkdebug,image=file,"
                f"node-name=failing,inject-error.0.event=read_aio,inject-error.0.errno=5,inject-error.0.sector={sector} "
                "-blockdev driver=raw,file=failing,node-name=disk "
                "-device virtio-blk-pci,drive=disk",
            ), seconds=240,
        )  # fmt: skip
        self.assertNotEqual(result.commands[0].code, 0)
        text = result.commands[0].output.decode()
        self.assertRegex(text, r"read of 0x\w+ failed: status -40")  # ZX_ERR_IO
        self.assertIn("Segmentation fault", text)
        self.assertEqual(result.commands[1].output.decode(), "sound\n0\n")

    @limit(280)
    def test_servers_end_in_the_middle(self) -> None:
        (self.files / "large").write_bytes(bytes(range(256)) * (160 * 1024))
        self.make(96 * _MIB)
        lines = []
        for service in ("data", "virtio_blk"):
            lines.append(
                f"(cat /data/large | cksum; echo first ended) & svc restart {service}; wait; cksum < /data/large"
            )
        result = self.run_shell(*lines)
        sums = subprocess.run(["cksum"], input=(self.files / "large").read_bytes(), capture_output=True, check=True)
        for command in result.commands:
            text = command.output.decode()
            self.assertIn("first ended\n", text)
            self.assertEqual(text.split("\n")[-2], sums.stdout.decode().strip(), text)
