"""Tests of what the runner makes of guests that pass, fail, panic, hang, reset and stop half-way."""

import contextlib
import io
import tempfile
import unittest
from unittest import mock

from jx import run
from jx.machine import Settings
from jx.script import run_script
from jx.testing import cases, fake_guest, kernel, system, user
from jx.testing.fake_guest import (
    CLEAN, HANG, PANIC, POWER_OFF, RESET, TESTS_FAILED, FakeGuest, FakeImages, marker,
)  # fmt: skip
from jx.testing.results import FAILED, PASSED, SKIPPED, Report

_SETTINGS = Settings(smp=1, mem="32M")
_OK = marker("[tests] 1 passed, 0 failed, 0 skipped")


def _case(kind: str, name: str, *rest: str) -> bytes:
    return b"".join(marker(f"[test] {kind} {name} {what}") for what in ("start", *rest))


@unittest.skipUnless(fake_guest.CAN_BOOT, "QEMU or clang is not installed")
class BootTest(unittest.TestCase):
    """What the tests below share: the fake guest, and a report that they look at."""

    fake: FakeGuest

    @classmethod
    def setUpClass(cls) -> None:
        cls.fake = FakeGuest()
        cls.addClassCleanup(cls.fake.remove)

    def setUp(self) -> None:
        self.report = Report(io.StringIO())

    def play(self, *scripts: bytes) -> FakeImages:
        images = FakeImages(self.fake, list(scripts))
        for module in ("script", "testing.kernel", "testing.user"):
            patcher = mock.patch(f"jx.{module}.BootImage", images)
            patcher.start()
            self.addCleanup(patcher.stop)
        return images

    def outcomes(self) -> list[tuple[str, str]]:
        return [(result.name, result.outcome) for result in self.report.results]


class KernelTest(BootTest):
    def _run(self, *patterns: str) -> None:
        kernel.run(_SETTINGS, list(patterns), self.report)

    @staticmethod
    def _names() -> bytes:
        """The answer to `kernel.ut=list`."""
        names = [marker(f"[test] kernel {name} listed") for name in ("g.a", "g.b", "g.c")]
        return b"".join(names) + marker("[tests] 0 passed, 0 failed, 0 skipped") + CLEAN

    def test_all_pass(self) -> None:
        text = _case("kernel", "g.a", "ok 12") + _case("kernel", "g.b", "skip no HPET") + _OK
        images = self.play(text + CLEAN)
        self._run()
        self.assertEqual(self.outcomes(), [("g.a", PASSED), ("g.b", SKIPPED)])
        self.assertEqual(images.started[0][0].append, "kernel.ut=all")

    def test_exit_code_must_agree_with_the_cases(self) -> None:
        bad = _case("kernel", "g.a", "fail x (1)") + _OK
        self.play(bad + TESTS_FAILED)
        self._run()
        self.assertEqual(self.outcomes(), [("g.a", FAILED)])
        self.play(bad + CLEAN)
        self._run()
        self.assertEqual(self.outcomes()[1:], [("g.a", FAILED), ("end", FAILED)])

    def test_goes_on_after_a_panic(self) -> None:
        first = _case("kernel", "g.a", "ok 1") + _case("kernel", "g.b") + marker("[panic] boom")
        first += b"{{{bias:0x0}}}\r\n{{{bt:0:0x100000}}}\r\n" + PANIC
        images = self.play(first, self._names(), _case("kernel", "g.c", "ok 1") + _OK + CLEAN)
        self._run()
        self.assertEqual(self.outcomes(), [("g.a", PASSED), ("g.b", FAILED), ("g.c", PASSED)])
        failure = self.report.results[1]
        self.assertEqual(failure.message, "kernel panic")
        self.assertIn("kernel panic: boom", failure.output)
        self.assertIn("#0  0x0000000000100000", failure.output)
        options = [settings.append for settings, _ in images.started]
        self.assertEqual(options, ["kernel.ut=all", "kernel.ut=list", "kernel.ut=g.c"])

    def test_hang_and_reset_name_their_test(self) -> None:
        hang = _case("kernel", "g.a")[:-2] + b" limit=1\r\n" + HANG
        reset = _case("kernel", "g.b") + RESET
        self.play(hang, self._names(), reset, _case("kernel", "g.c", "ok 1") + _OK + CLEAN)
        self._run()
        self.assertEqual(self.outcomes(), [("g.a", FAILED), ("g.b", FAILED), ("g.c", PASSED)])
        self.assertIn("hung: no result within 1 s", self.report.results[0].message)
        self.assertIn("reset", self.report.results[1].message)

    def test_no_test_at_all_is_a_failure(self) -> None:
        for script in (b"text" + POWER_OFF, b"text" + RESET, _OK + CLEAN):
            with self.subTest(script):
                self.report = Report(io.StringIO())
                self.play(script)
                self._run()
                self.assertEqual(self.outcomes(), [("boot", FAILED)])

    def test_end_without_summary_is_a_failure(self) -> None:
        text = _case("kernel", "g.a", "ok 1") + POWER_OFF
        self.play(text, self._names(), b"" + POWER_OFF)
        self._run()
        self.assertEqual(self.outcomes(), [("g.a", PASSED), ("end", FAILED), ("boot", FAILED)])

    def test_selections_are_short_and_name_whole_groups(self) -> None:
        names = [f"g{i}.case_{j}" for i in range(40) for j in range(10)]
        self.assertEqual(kernel.selections(names[10:21], names), ["g1.*,g2.case_0"])
        some = kernel.selections(names[::2], names)
        self.assertEqual(",".join(some).split(","), names[::2])
        self.assertTrue(1 < len(some) and all(len(chunk) < 2100 for chunk in some))

    def test_patterns_ask_the_kernel_first(self) -> None:
        names = b"".join(marker(f"[test] kernel {n} listed") for n in ("g.a", "g.b", "vmo.c"))
        images = self.play(names + _OK + CLEAN, _case("kernel", "g.b", "ok 1") + _OK + CLEAN)
        self._run("g.b")
        options = [settings.append for settings, _ in images.started]
        self.assertEqual(options, ["kernel.ut=list", "kernel.ut=g.b"])
        self.assertEqual(self.outcomes(), [("g.b", PASSED)])


class UserTest(BootTest):
    def _run(self, *programs: str) -> None:
        with mock.patch("jx.testing.user._programs", return_value=list(programs)):
            user.run(_SETTINGS, [], self.report)

    @staticmethod
    def _program(index: int, name: str, body: bytes, code: int = 0) -> bytes:
        return marker(f"[run] {index} test/{name}") + body + marker(f"[exit] {code}")

    def test_all_pass(self) -> None:
        text = self._program(0, "a", _case("user", "a.x", "ok 1") + _OK)
        text += self._program(1, "b", _case("user", "b.x", "ok 1") + _OK) + marker("[done]")
        images = self.play(text + POWER_OFF)
        self._run("test/a", "test/b")
        self.assertEqual(self.outcomes(), [("a.x", PASSED), ("b.x", PASSED)])
        self.assertEqual(images.started[0][1], ["test/a", "test/b"])

    def test_program_that_dies_in_or_between_cases(self) -> None:
        text = self._program(0, "a", _case("user", "a.x"), -1024)
        text += self._program(1, "b", _case("user", "b.x", "ok 1"), 3)
        text += self._program(2, "c", b"", 127) + marker("[done]")
        self.play(text + POWER_OFF)
        self._run("test/a", "test/b", "test/c")
        want = [("a.x", FAILED), ("b.x", PASSED), ("b", FAILED), ("c", FAILED)]
        self.assertEqual(self.outcomes(), want)
        self.assertIn("-1024", self.report.results[0].message)

    def test_exit_code_must_agree_with_the_cases(self) -> None:
        text = self._program(0, "a", _case("user", "a.x", "ok 1") + _OK, 1) + marker("[done]")
        self.play(text + POWER_OFF)
        self._run("test/a")
        self.assertEqual(self.outcomes(), [("a.x", PASSED), ("a", FAILED)])

    def test_panic_costs_only_its_program(self) -> None:
        first = self._program(0, "a", _case("user", "a.x", "ok 1") + _OK)
        first += marker("[run] 1 test/b") + _case("user", "b.x") + marker("[panic] boom") + PANIC
        second = self._program(0, "c", _case("user", "c.x", "ok 1") + _OK) + marker("[done]")
        images = self.play(first, second + POWER_OFF)
        self._run("test/a", "test/b", "test/c")
        self.assertEqual(self.outcomes(), [("a.x", PASSED), ("b.x", FAILED), ("c.x", PASSED)])
        self.assertEqual(images.started[1][1], ["test/c"])

    def test_boot_that_never_gets_there(self) -> None:
        self.play(RESET)
        self._run("test/a", "test/b")
        self.assertEqual(self.outcomes(), [("boot", FAILED)])

    def test_silence_between_programs_has_a_limit(self) -> None:
        text = self._program(0, "a", _case("user", "a.x", "ok 1") + _OK)
        self.play(text + HANG, self._program(0, "b", _OK) + marker("[done]") + POWER_OFF)
        with mock.patch.object(cases, "BETWEEN_LIMIT_S", 1.0):
            self._run("test/a", "test/b")
        self.assertEqual(self.outcomes()[:2], [("a.x", PASSED), ("after a", FAILED)])


class RunTest(BootTest):
    def _run(self, script: bytes, *commands: str, seconds: float = 30.0) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self.play(script)
        errors = io.StringIO()
        with tempfile.TemporaryFile() as output, contextlib.redirect_stderr(errors):
            with mock.patch("sys.stdout", output):
                code = run.run_commands(_SETTINGS, list(commands), seconds)
            output.seek(0)
            return code, output.read().decode(), errors.getvalue()

    def test_output_of_commands_and_nothing_else(self) -> None:
        script = b"boot noise\r\n" + marker("[run] 0 hello a") + b"hi\r\nthere" + marker("[exit] 3")
        script += b"noise" + marker("[run] 1 nope") + marker("[exit] 127") + marker("[done]")
        got = self._run(script + POWER_OFF, "hello a", "nope")
        self.assertEqual(got, (127, "hi\nthere", ""))

    def test_panic_is_symbolised(self) -> None:
        script = marker("[run] 0 x") + b"before" + marker("[panic] boom") + b"{{{bias:0x0}}}\r\n"
        code, output, errors = self._run(script + b"{{{bt:0:0x1}}}\r\n" + PANIC, "x")
        self.assertEqual((code, output), (70, "before"))
        self.assertIn("kernel panic: boom", errors)
        self.assertIn("#0  0x0000000000000001", errors)

    def test_time_limit(self) -> None:
        code, _, errors = self._run(marker("[run] 0 slow") + HANG, "slow", seconds=2.0)
        self.assertEqual(code, 124)
        self.assertIn("slow", errors)

    def test_reset(self) -> None:
        code, _, errors = self._run(marker("[run] 0 x") + RESET, "x")
        self.assertEqual(code, 69)
        self.assertIn("triple fault", errors)

    def test_values(self) -> None:
        self.play(marker("[run] 0 x") + marker("[value] free_pages 12") + marker("[exit] 0") + POWER_OFF)
        self.assertEqual(run_script(_SETTINGS, ["x"], 30.0).values, {"free_pages": 12})

    def test_smoke(self) -> None:
        count = len(system.SMOKE_COMMANDS)
        commands = [marker(f"[run] {i} c") + marker("[exit] 0") for i in range(count)]
        good = b"".join(commands) + marker("[done]") + POWER_OFF
        bad = b"".join(commands[:-1]) + marker("[run] 9 c") + marker("[exit] 1") + POWER_OFF
        self.play(good, bad, commands[0] + RESET)
        for _ in range(3):
            system.smoke(_SETTINGS, self.report)
        self.assertEqual([r.outcome for r in self.report.results], [PASSED, FAILED, FAILED])


if __name__ == "__main__":
    unittest.main()
