"""Programs from the boot image: the run list, the prompt, loading, and what is left afterwards."""

import re
import struct
import subprocess
import sys
import time
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from jx import build
from jx.guest import Ended, Guest
from jx.machine import BootFiles
from jx.script import ScriptResult
from jx.testing.lab import SystemTest, depends_on, limit, settings_from_environment, soak
from jx.tree import ROOT, out_dir

_NO_COMMAND, _NOT_STARTABLE, _BAD_LINE = 127, 126, 2


def _text(result: ScriptResult, index: int) -> str:
    return result.commands[index].output.decode()


def _handle_chunks(text: str) -> int:
    """Pages of all tables of handles, by what `k mem` prints."""
    found = re.search(r"handle_chunk +4096 B x (\d+)", text)
    assert found is not None, text
    return int(found[1])


@depends_on("smp", "variant")
class RunListTest(SystemTest):
    """Commands of etc/run: output, exit codes."""

    def test_arguments_arrive_as_they_were_quoted(self) -> None:
        result = self.run_commands("hello", "hello a b", "small/echo 'a  b' \"c\" d\\ e ''", "# nothing")
        self.assertEqual(_text(result, 0), "hello, world\n")
        self.assertEqual(_text(result, 1), "hello a b\n")
        self.assertEqual(_text(result, 2), "a  b c d e \n")
        self.assertEqual(_text(result, 3), "")
        self.assertEqual([command.code for command in result.commands], [0, 0, 0, 0])

    def test_exit_codes(self) -> None:
        result = self.run_commands("exit 3", "exit -7", "no_such_thing", "echo 'open", "exit")
        codes = [command.code for command in result.commands]
        self.assertEqual(codes, [3, -7, _NO_COMMAND, _BAD_LINE, 0])
        self.assertIn("no such command", _text(result, 2))

    def test_files(self) -> None:
        result = self.run_commands(
            "small/ls /boot", "small/ls bin", "small/cat doc/LICENSE", "small/ls nowhere",
            "small/cat nowhere", "small/ls doc/LICENSE",
        )
        self.assertIn("bin/\n", _text(result, 0))
        self.assertRegex(_text(result, 1), r"\d+  hello\n")
        self.assertNotIn("/", _text(result, 1))
        self.assertEqual(_text(result, 2), (ROOT / "LICENSE").read_text())
        self.assertEqual([command.code for command in result.commands[3:]], [1, 1, 0])
        self.assertRegex(_text(result, 5), r"^ *\d+  doc/LICENSE\n$")
        self.assertIn("ZX_ERR_NOT_FOUND", _text(result, 4))

    def test_processes_are_shown(self) -> None:
        result = self.run_commands(
            "ps", "kill 1", "kill x", "spawn x bin/hello", "small/cat", "spawn -s 1 bin/exit", "ps"
        )
        for name in ("job root", "userboot", "bin/init", "job programs"):
            self.assertIn(name, _text(result, 0))
        # A service is there once somebody has asked it something.
        self.assertNotRegex(_text(result, 0), r"\n +\d+ .* launcher\n")
        self.assertRegex(_text(result, 6), r"\n +\d+ .* launcher\n")
        self.assertIn("ZX_ERR_NOT_FOUND", _text(result, 1))
        codes = [command.code for command in result.commands]
        self.assertEqual(codes, [0, 1, 1, 2, 2, 0, 0])
        self.assertIn("usage: spawn", _text(result, 3))

    def test_kernel_commands(self) -> None:
        result = self.run_commands(
            "k mem", "k no_such_thing", "help", "k", "k ut no_such_thing", "k drain", "k threads"
        )
        self.assertIn("total", _text(result, 0))
        self.assertEqual(result.commands[1].code, _NO_COMMAND)
        self.assertIn("poweroff", _text(result, 2))
        self.assertRegex(_text(result, 2), r"  hello\b")
        self.assertLessEqual(max(len(line) for line in _text(result, 2).splitlines()), 79)
        self.assertEqual(result.commands[3].code, _BAD_LINE)
        self.assertIn("k help", _text(result, 3))
        self.assertIn("no test is named 'no_such_thing'", _text(result, 4))
        self.assertEqual(_text(result, 5).count("heap_objects"), 1)
        self.assertRegex(_text(result, 6), r"idle/0\n")


@depends_on("uefi", "machine", "variant")
class MachineTest(SystemTest):
    """Programs run on the machine whatever its size."""

    def test_small_and_wide_machines(self) -> None:
        # The firmware itself does not fit into less.
        small = "96M" if self.settings.uefi else "32M"
        for changes in ({"mem": small}, {"smp": 16}):
            with self.subTest(**changes):
                result = self.run_commands("hello", **changes)
                self.assertEqual(_text(result, 0), "hello, world\n")


class PromptTest(SystemTest):
    """Typing at the machine."""

    def test_lines_are_edited_and_run(self) -> None:
        with self.boot() as console:
            # The kernel's log is elsewhere, from its first record on.
            # Nothing between the boot stage's first sign and the banner; before it, firmware may talk.
            self.assertRegex(console.wait_text("jacinth> "), r"(?:^|!)Jacinth on ")
            console.type("ehx\x7f\x7f\x7fhello x\r")
            self.assertIn("\r\nhello x", console.wait_text("hello x\njacinth> ").replace("\n", "\r\n"))
            console.type("rubbish\x15exit 5\r")
            console.wait_text("exit code 5")
            # Keys that send a sequence: up, F1, delete, control-left; nothing of it is in the line.
            console.type("\x1b[A\x1b\x1b[B\x1bOPhello \x1b[3~keys\x1b[1;5D\r")
            console.wait_text("\nhello keys\njacinth> ")
            console.type("hello a | b\r")
            self.assertRegex(console.wait_text("jacinth> "), r"\nhello a \| b\n\(.*sh is a shell")
            console.type("hello 'a | b'\r")
            console.wait_text("\nhello a | b\njacinth> ")
            console.type("init\r")
            console.wait_text("no prompt without a console\nexit code 1\njacinth> ")
            console.type("poweroff\r")
            self.assertEqual(console.wait_end().how, "power-off")

    def test_control_c_ends_the_program(self) -> None:
        with self.boot() as console:
            console.wait_text("jacinth> ")
            begin = time.monotonic()
            console.type("sleep 1000\r")
            console.wait_text("sleep 1000\n")
            time.sleep(0.5)  # the program has begun by then, or dies unborn: both must work
            console.type("\x03")
            console.wait_text("killed")
            self.assertLess(time.monotonic() - begin, 60)
            console.wait_text("jacinth> ")
            console.type("half a line\x03hello y\r")
            console.wait_text("hello y\njacinth> ")
            console.type("\x04")
            self.assertEqual(console.wait_end().how, "power-off")


@depends_on("smp", "variant")
class LoadTest(SystemTest):
    """Loading what is large, and refusing what is malformed."""

    @limit(300)
    def test_a_program_of_96_mib(self) -> None:
        variant = self.settings.variant
        build.build(variant, ["big/big", "big/big.expected"])
        folder = out_dir(variant) / "big"
        expected = (folder / "big.expected").read_text()
        result = self.run_commands(
            "hello", "big", "big", "measure/load bin/hello bin/big bin/hello bin/big",
            seconds=200, adds=((folder / "big", "bin/big"),),
        )  # fmt: skip
        self.assertEqual(_text(result, 1), expected)
        self.assertEqual(_text(result, 2), expected)
        self.assertEqual([command.code for command in result.commands], [0, 0, 0, 0])
        # The second pair: what one start leaves in caches is there by then.
        values = result.values
        self.assertLessEqual(abs(values["private_4"] - values["private_3"]), 64 << 10)
        self.assertLessEqual(abs(values["vmo_4"] - values["vmo_3"]), 64 << 10)
        self.assertLessEqual(values["heap_2"], 128 << 10)
        self.assertLessEqual(values["heap_4"], 128 << 10)

    @limit(240)
    def test_programs_of_every_shape(self) -> None:
        """All kinds of relocations by the hundred thousand, a small gap, 1 GiB of bss, an interpreter."""
        variant = self.settings.variant
        names = ("tables", "gap", "bss", "dynamic")
        build.build(variant, [f"big/{name}{end}" for name in names for end in ("", ".expected")])
        folder = out_dir(variant) / "big"
        adds = tuple((folder / name, f"bin/{name}") for name in names)
        result = self.run_commands(*names, mem="256M", seconds=200, adds=adds)
        for index, name in enumerate(names):
            self.assertEqual(_text(result, index), (folder / f"{name}.expected").read_text(), name)
        self.assertEqual([command.code for command in result.commands], [0] * len(names))

    @limit(240)
    def test_programs_from_a_server_without_pages(self) -> None:
        """They are read over a channel, with and without an interpreter, and sum up to what they should."""
        variant = self.settings.variant
        names = ("gap", "dynamic")
        build.build(variant, [f"big/{name}{end}" for name in names for end in ("", ".expected")])
        folder = out_dir(variant) / "big"
        adds = tuple((folder / name, f"data/{name}") for name in names)
        serve = "/boot/measure/served " + " ".join(f"{name}=/boot/data/{name}" for name in names)
        result = self.run_commands(
            f"sh -c '{serve} -- launch --stats /served/gap'",
            f"sh -c '{serve} -- sh -c \"(/served/gap; /served/dynamic && exec /served/gap) | cat\"'",
            "sh -c 'launch --stats /boot/data/gap'", seconds=200, adds=adds,
        )  # fmt: skip
        gap, dynamic = ((folder / f"{name}.expected").read_text() for name in names)
        self.assertEqual([command.code for command in result.commands], [0, 0, 0])
        self.assertEqual(_text(result, 1), gap + dynamic + gap)
        said = _text(result, 0)
        self.assertIn(gap, said)
        found = re.search(r"server: (\d+) KiB read in (\d+) requests", said)
        self.assertIsNotNone(found, said)
        size, requests = (int(word) for word in found.groups())  # type: ignore[union-attr]
        # All that segments have, and no more than the file; in answers of 16 KiB.
        whole = (folder / "gap").stat().st_size // 1024
        self.assertTrue(3 << 10 <= size <= whole + 1, (size, whole))
        self.assertTrue(size // 16 <= requests <= size // 16 + 8, said)
        # What was read is the program's own.
        own = re.search(r"memory: (\d+) KiB its own when loaded", said)
        self.assertIsNotNone(own, said)
        self.assertTrue(size - 4 <= int(own[1]) <= size + 256, said)  # type: ignore[index]
        self.assertNotIn("server:", _text(result, 2))

    @limit(240)
    def test_malformed_programs_are_named_and_leave_nothing(self) -> None:
        with TemporaryDirectory() as name:
            folder = Path(name)
            script = ROOT / "tools" / "genelf" / "malformed.py"
            subprocess.run([sys.executable, str(script), "--out-dir", name], check=True)
            lines = (folder / "index.txt").read_text().splitlines()
            cases = [tuple(line.split()) for line in lines]
            bad = [(file, error) for file, error in cases if error != "OK"]
            self.assertGreater(len(bad), 20)
            adds = tuple((folder / file, f"bad/{file}") for file, _ in bad)
            paths = [f"bad/{file}" for file, _ in bad]
            # A command line has its limits.
            runs = [
                "measure/refuse " + " ".join(paths[at : at + 20]) for at in range(0, len(paths), 20)
            ]
            again = [*runs, "k drain", "k mem"]
            result = self.run_commands(
                *again, *again, *again, "hello", paths[0], seconds=200, adds=adds
            )
        said = "".join(c.output.decode() for c in result.commands[: len(runs)])
        self.assertEqual(
            said.splitlines(), [f"bad/{file} BAD_PROGRAM {error}" for file, error in bad]
        )
        # Tables of handles grow, a page at a time, until enough entries lie fallow; nothing else may.
        drains = [_gauges(c.output.decode()) for c in result.commands if c.command == "k drain"]
        tables = [_handle_chunks(c.output.decode()) for c in result.commands if c.command == "k mem"]
        objects = [drain["heap_objects"] - chunks for drain, chunks in zip(drains, tables, strict=True)]
        self.assertEqual(objects[1], objects[2], (drains, tables))
        self.assertLessEqual(drains[2]["allocated_pages"] - drains[0]["allocated_pages"], 4)
        self.assertEqual(_text(result, len(result.commands) - 2), "hello, world\n")
        self.assertIn(f"({bad[0][1]})", _text(result, len(result.commands) - 1))
        self.assertEqual(result.commands[-1].code, _NOT_STARTABLE)


def _gauges(text: str) -> dict[str, int]:
    found = re.findall(r"^\s*(\d+) (\w+)$", text, re.MULTILINE)
    assert found, text
    return {name: int(value) for value, name in found}


@depends_on("variant")
class StartupTest(SystemTest):
    """Before main()."""

    def test_an_unresolved_symbol_is_named(self) -> None:
        result = self.run_commands("measure/unresolved", "hello")
        self.assertEqual(
            _text(result, 0),
            "start-up failed: unresolved symbol zx_call_that_does_not_exist\n",
        )
        self.assertEqual([command.code for command in result.commands], [-126, 0])


@depends_on("smp", "variant")
class SpawnTest(SystemTest):
    """Starting many processes leaves nothing."""

    def spawn(self, program: str, count: int, seconds: float, **changes: object) -> None:
        result = self.run_commands(
            f"spawn 20 {program}", "k drain", f"spawn {count} {program}", "k drain",
            seconds=seconds, **changes,
        )  # fmt: skip
        self.assertEqual([command.code for command in result.commands], [0] * 4)
        before, after = _gauges(_text(result, 1)), _gauges(_text(result, 3))
        for name in ("heap_objects", "allocated_pages"):
            self.assertEqual(before[name], after[name], (before, after))
        # Survivors are few: they may come to lie apart, but not on page after page.
        self.assertLessEqual(after["heap_slack_pages"], before["heap_slack_pages"] + 4)
        # The same pages are free, but for those; and for the page array, which grows for good when
        # more memory is in use than ever before.
        self.assertLessEqual(abs(before["free_pages"] - after["free_pages"]), 8, (before, after))

    def test_hundreds(self) -> None:
        self.spawn("bin/exit", 300, 100)

    def test_on_one_cpu_and_on_eight(self) -> None:
        for smp in (1, 8):
            with self.subTest(smp=smp):
                self.spawn("bin/exit", 50, 60, smp=smp)

    @soak
    @limit(1200)
    def test_ten_thousand(self) -> None:
        self.spawn("bin/hello", 10_000, 1100)

    def test_through_the_service(self) -> None:
        result = self.run_commands("spawn -s 3 bin/hello a b", "spawn -s 1 bin/exit 4")
        self.assertEqual(_text(result, 0).count("hello a b\n"), 3)
        self.assertEqual([command.code for command in result.commands], [0, 1])


@depends_on("variant")
class NoBootImageTest(unittest.TestCase):
    """Without anything to start the machine says so and ends with a failure."""

    def boot(self, zbi: bytes | None) -> tuple[str, Ended]:
        settings = settings_from_environment().with_changes(uefi=False)
        with TemporaryDirectory() as name:
            path = Path(name) / "zbi"
            path.write_bytes(zbi if zbi is not None else b"")
            files = BootFiles(settings.kernel_elf(), path, "debug.exit=0xf4")
            text = b""
            with Guest(settings, files) as guest:
                deadline = time.monotonic() + 40
                event = None
                while not isinstance(event, Ended):
                    event = guest.next(deadline)
                    self.assertIsNotNone(event, text.decode(errors="replace"))
                    text += event if isinstance(event, bytes) else b""
            return text.decode(errors="replace"), event

    def test_what_is_not_a_zbi(self) -> None:
        text, end = self.boot(b"x" * 5000)
        self.assertIn("the boot image is not a ZBI", text)
        self.assertNotEqual(end.how, "power-off")
        self.assertNotEqual(end.how, "panic")

    def test_an_empty_zbi(self) -> None:
        header = struct.pack(
            "<8I", 0x544F4F42, 0, 0x868CF7E6, 0x10000, 0, 0, 0xB5781729, 0x4A87E8D6
        )
        text, end = self.boot(header)
        self.assertIn("holds no bootfs", text)
        self.assertNotEqual(end.how, "power-off")
        self.assertNotEqual(end.how, "panic")


if __name__ == "__main__":
    unittest.main()
