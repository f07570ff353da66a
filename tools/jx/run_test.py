"""Tests of what `./jx run` makes of how a machine went."""

import argparse
import contextlib
import io
import unittest
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from unittest import mock

from jx import cli, interactive, run, tree
from jx.guest import Ended, Input
from jx.boot_image import BootImage, ImageError
from jx.interactive import Keyboard
from jx.machine import Settings
from jx.markers import Marker
from jx.script import CommandResult, ScriptResult

_OFF = Ended("power-off")


def _verdict(result: ScriptResult, count: int = 1) -> tuple[int, str]:
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        code = run.verdict(result, ["x"] * count, 60)
    return code, errors.getvalue()


def _commands(*codes: int | None) -> list[CommandResult]:
    return [CommandResult(f"c{i}", b"", code) for i, code in enumerate(codes)]


class VerdictTest(unittest.TestCase):
    def test_the_last_command_counts(self) -> None:
        result = ScriptResult(_commands(3, 127), end=_OFF, done=True)
        self.assertEqual(_verdict(result, 2), (127, ""))

    def test_codes_that_no_shell_can_carry(self) -> None:
        for code, want in ((-1024, 1), (-1028, 252), (256, 1), (300, 44), (255, 255)):
            self.assertEqual(run.shell_code(code), want)

    def test_a_command_that_switches_the_power_off(self) -> None:
        self.assertEqual(_verdict(ScriptResult(_commands(0, None), end=_OFF), 2)[0], 0)
        code, text = _verdict(ScriptResult(_commands(None), end=_OFF), 2)
        self.assertEqual(code, 69)
        self.assertIn("c0", text)

    def test_panic(self) -> None:
        result = ScriptResult(_commands(None), end=Ended("panic"), panic="kernel panic: x")
        self.assertEqual(_verdict(result), (70, "kernel panic: x\n"))
        self.assertEqual(_verdict(ScriptResult(end=Ended("panic")))[0], 70)

    def test_timeout_names_the_command(self) -> None:
        code, text = _verdict(ScriptResult(_commands(0, None)))
        self.assertEqual(code, 124)
        self.assertIn("c1", text)

    def test_early_end(self) -> None:
        code, text = _verdict(ScriptResult(end=Ended("silent", "no byte")))
        self.assertEqual(code, 69)
        self.assertIn("no byte", text)

    def test_every_end_has_words(self) -> None:
        for how in ("power-off", "panic", "clean", "tests-failed"):
            self.assertNotEqual(Ended(how).words(), how)
        self.assertEqual(Ended("reset", "why").words(), "why")


class LineTest(unittest.TestCase):
    def test_quotes_reach_the_shell(self) -> None:
        self.assertEqual(run.shell_line("echo a | cat"), "sh -c 'echo a | cat'")
        self.assertEqual(run.shell_line("echo 'a  b' \"$x\""), "sh -c 'echo '\\''a  b'\\'' \"$x\"'")


class ArgumentsTest(unittest.TestCase):
    def test_commands_and_timeout(self) -> None:
        parser = cli.make_parser()
        args = parser.parse_args(["run", "-c", "hello a b", "-c", "ps", "--timeout", "2.5"])
        self.assertEqual((args.commands, args.timeout), (["hello a b", "ps"], 2.5))
        self.assertIsNone(parser.parse_args(["run"]).timeout)  # 60 s with -c, else none
        for words in (["run", "--timeout", "0"], ["run", "--timeout", "x"], ["nothing"]):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                parser.parse_args(words)

    def _refused(self, *words: str) -> tuple[int, str]:
        out = io.StringIO()
        with (
            contextlib.redirect_stderr(out), contextlib.redirect_stdout(out),
            self.assertRaises(SystemExit) as end,
        ):  # fmt: skip
            cli.parse(list(words))
        assert isinstance(end.exception.code, int)
        return end.exception.code, out.getvalue()

    def test_help_is_a_command(self) -> None:
        for words in ([], ["help"], ["--help"]):
            code, text = self._refused(*words)
            self.assertEqual(code, 0)
            self.assertIn("doctor", text)
        code, text = self._refused("help", "bench")
        self.assertEqual(code, 0)
        self.assertIn("usage: ./jx bench", text)

    def test_what_is_unknown_is_said_by_the_subcommand(self) -> None:
        code, text = self._refused("image", "--frob")
        self.assertEqual(code, 2)
        self.assertEqual(text, "jx: image: unrecognized arguments: --frob (./jx help image says more)\n")
        self.assertIn("-c", self._refused("run", "hello", "a")[1])

    def test_files_that_are_none_are_named(self) -> None:
        for name, text in (("no/such.c", "no such file"), ("/etc/passwd", "not a file of this")):
            with self.assertRaisesRegex(argparse.ArgumentTypeError, f"{text}.*{name}"):
                tree.file_in_tree(Path(name))
        self.assertIn("not a file: /", self._refused("run", "--disk", "/")[1])
        with NamedTemporaryFile() as file, mock.patch("os.access", return_value=False):
            text = self._refused("run", "--disk", file.name)[1]
        self.assertIn(f"may not be written: {file.name}", text)
        self.assertEqual(text.count("\n"), 1)

    def test_results_that_cannot_be_written_are_refused_first(self) -> None:
        for words in (["test", "--junit", "/no/such/x"], ["bench", "--json", "/no/such/x"],
                      ["image", "-o", "/no/such/x"], ["bench", "--json", "/"]):  # fmt: skip
            code, text = self._refused(*words)
            self.assertEqual(code, 2)
            self.assertRegex(text, "no such folder|a folder")

    def test_test_flags(self) -> None:
        args = cli.make_parser().parse_args(["test", "--kind", "host", "--kind", "user", "vmo"])
        self.assertEqual((args.kinds, args.patterns), (["host", "user"], ["vmo"]))


class BootImageTest(unittest.TestCase):
    def test_a_line_too_long_for_the_kernel(self) -> None:
        for options in ("x" * 4096, "\u00e9" * 2048):
            with self.assertRaisesRegex(ImageError, "4096 bytes, at most 4095"):
                BootImage(Settings(append=options), for_runner=False).__enter__()
        with self.assertRaisesRegex(ImageError, "one line"):
            BootImage(Settings(), ["a\nb"])


class EndOfInputTest(unittest.TestCase):
    def test_it_is_told_again_when_all_is_quiet(self) -> None:
        """A program may have taken the first for its input."""
        guest = mock.MagicMock()
        guest.__enter__.return_value = guest
        guest.is_sending.return_value = False
        with TemporaryFile() as empty, TemporaryFile() as out, contextlib.ExitStack() as stack:
            guest.next.side_effect = [Marker("ready", ""), Input(empty.fileno()), b"text", None, None, _OFF]
            for name, value in (("sys.stdin", empty), ("sys.stdout", out),
                                ("jx.interactive.BootImage", mock.MagicMock()),
                                ("jx.interactive.Guest", mock.Mock(return_value=guest)),
                                ("jx.interactive.symbolizer", mock.Mock())):  # fmt: skip
                stack.enter_context(mock.patch(name, value))
            self.assertEqual(interactive.run(Settings()), 0)
        self.assertEqual(guest.send.mock_calls, [mock.call(b"\x04poweroff\r")] * 3)


class KeyboardTest(unittest.TestCase):
    def test_escape(self) -> None:
        keyboard = Keyboard()
        self.assertEqual(keyboard.feed(b"ab\x01\x01c\x01"), b"ab\x01c")
        self.assertFalse(keyboard.quit)
        self.assertEqual(keyboard.feed(b"xmore"), b"")
        self.assertTrue(keyboard.quit)


if __name__ == "__main__":
    unittest.main()
