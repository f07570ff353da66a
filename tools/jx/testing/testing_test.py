"""Tests of the parts of `./jx test`: cases, cmocka output, Python worker, report, user programs."""

import io
import shutil
import tempfile
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

from jx.guest import Ended
from jx.machine import Settings
from jx.markers import Marker
from jx.testing import host, python, system, user
from jx.testing.cases import BETWEEN_LIMIT_S, CaseTracker, end_message
from jx.testing.results import FAILED, PASSED, SKIPPED, Report, Result, matches
from jx.tree import ROOT


class CaseTrackerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.results: list[Result] = []
        self.tracker = CaseTracker("kernel", self.results.append, lambda: self.now)

    def _test(self, rest: str) -> None:
        self.tracker.feed(Marker("test", f"kernel {rest}"))

    def test_limit_counts_from_the_start_of_the_case(self) -> None:
        self.assertEqual(self.tracker.deadline, 100 + BETWEEN_LIMIT_S)
        self.now = 150.0
        self._test("g.a start limit=7")
        self.assertEqual(self.tracker.deadline, 157.0)
        self.now = 152.0
        self._test("g.a ok 1234")
        self.assertEqual(self.tracker.deadline, 152 + BETWEEN_LIMIT_S)
        self.assertEqual(self.results, [Result("kernel", "g.a", PASSED, 2.0)])

    def test_outcomes_with_reason_and_output(self) -> None:
        self._test("g.a start")
        self.tracker.feed(b"text\n")
        self._test("g.a fail x != y (a.c:3)")
        self._test("g.b start")
        self._test("g.b skip no HPET")
        got = [(r.name, r.outcome, r.message, r.output) for r in self.results]
        want = [("g.a", FAILED, "x != y (a.c:3)", "text\n"), ("g.b", SKIPPED, "no HPET", "")]
        self.assertEqual(got, want)

    def test_a_case_that_never_reports_is_named(self) -> None:
        self._test("g.a start")
        self._test("g.b start")
        self.assertEqual([(r.name, r.outcome) for r in self.results], [("g.a", FAILED)])
        self.tracker.fail_current(end_message(None, self.tracker.limit_s))
        self.assertEqual(self.results[1].name, "g.b")
        self.assertIn("hung", self.results[1].message)

    def test_a_result_without_start_is_a_failure(self) -> None:
        self._test("g.a ok 1")
        self.assertEqual(self.results[0].outcome, FAILED)

    def test_other_kinds_and_lists(self) -> None:
        self.tracker.feed(Marker("test", "user g.a start"))
        self.assertIsNone(self.tracker.current)
        self._test("g.a listed")
        self.tracker.feed(Marker("tests", "0 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.tracker.listed, ["g.a"])
        self.assertTrue(self.tracker.summary_seen)

    def test_end_messages(self) -> None:
        self.assertEqual(end_message(Ended("panic"), 1), "kernel panic")
        self.assertIn("reset", end_message(Ended("reset", "triple fault"), 1))


class CmockaTest(unittest.TestCase):
    program = host.Program("test", "//a:t", "t", (), 9, "")

    def _parse(self, code: int | None, output: str) -> list[tuple[str, str]]:
        return [(r.name, r.outcome) for r in host.parse_cmocka(self.program, code, output, 1.0)]

    def test_outcomes(self) -> None:
        output = (
            "[==========] Running 3 test(s).\n[ RUN      ] a\nnoise\n[       OK ] a\n"
            "[ RUN      ] b\n[  ERROR   ] --- 1 != 2\n[  FAILED  ] b\n"
            "[ RUN      ] c\n[  SKIPPED ] c\n[  FAILED  ] 1 test(s), listed below:\n"
        )
        want = [("a:t.a", PASSED), ("a:t.b", FAILED), ("a:t.c", SKIPPED)]
        self.assertEqual(self._parse(1, output), want)

    def test_death_in_a_case_names_it(self) -> None:
        output = "[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\nAddressSanitizer: oops\n"
        for code in (-11, None, 1):
            self.assertEqual(self._parse(code, output), [("a:t.a", PASSED), ("a:t.b", FAILED)])

    def test_failure_outside_a_case(self) -> None:
        output = "[ RUN      ] a\n[       OK ] a\nLeakSanitizer\n"
        self.assertEqual(self._parse(23, output), [("a:t.a", PASSED), ("a:t", FAILED)])

    def test_nothing_run_is_a_failure(self) -> None:
        self.assertEqual(self._parse(0, ""), [("a:t", FAILED)])

    def test_time_limit_stops_the_program(self) -> None:
        code, output = host.run_limited(["sh", "-c", "echo hi; sleep 60"], 0.5, {})
        self.assertEqual((code, output), (None, "hi\n"))


class PythonWorkerTest(unittest.TestCase):
    def setUp(self) -> None:
        # The file must lie in the tree: its name is relative to the root.
        self.folder = Path(tempfile.mkdtemp(dir=ROOT / "out"))
        self.addCleanup(shutil.rmtree, self.folder)

    def test_every_kind_of_end(self) -> None:
        path = self.folder / "x_test.py"
        path.write_text(
            "import os, time, unittest\n"
            "def soak(f): return f\n"
            "class T(unittest.TestCase):\n"
            "    def test_1_ok(self): print('half', end='')\n"
            "    def test_2_fails(self): self.assertEqual(1, 2)\n"
            "    def test_3_dies(self): os._exit(3)\n"
            "    def test_4_hangs(self): time.sleep(60)\n"
            "    test_4_hangs.jx_limit_s = 0.3\n"
            "    def test_5_skips(self): self.skipTest('why')\n"
            "    def test_6_sub(self):\n"
            "        with self.subTest('x'): self.fail('in sub')\n"
            "    @soak\n"
            "    def test_7_soak(self): self.fail()\n"
        )
        results = python.run_file(path, "host", [], soak=False)[1]
        got = [(r.name.rpartition("test_")[2], r.outcome) for r in results]
        want = [("1_ok", PASSED), ("2_fails", FAILED), ("3_dies", FAILED), ("4_hangs", FAILED),
                ("5_skips", SKIPPED), ("6_sub", FAILED)]  # fmt: skip
        self.assertEqual(got, want)
        self.assertIn("1 != 2", results[1].message)
        self.assertIn("code 3", results[2].message)
        self.assertIn("hung", results[3].message)
        self.assertIn("in sub", results[5].message)

    def test_a_file_that_cannot_be_imported_fails(self) -> None:
        path = self.folder / "y_test.py"
        path.write_text("import nothing_of_this_name\nclass T:\n    def test_a(self): pass\n")
        results = python.run_file(path, "host", [])[1]
        self.assertEqual([r.outcome for r in results], [FAILED])
        self.assertIn("nothing_of_this_name", results[0].output)


class ReportTest(unittest.TestCase):
    def test_closing_line_exit_code_and_junit(self) -> None:
        stream = io.StringIO()
        report = Report(stream)
        report.add(Result("kernel", "g.a", PASSED, 0.5))
        self.assertEqual(report.close(), 0)
        report.add(Result("kernel", "g.b", FAILED, 0.1, "bad \x1b", "out\x00"))
        report.add(Result("host", "h", SKIPPED, 0.0, "why"))
        self.assertEqual(report.close(), 1)
        self.assertEqual(stream.getvalue().splitlines()[-1], "1 passed, 1 failed, 1 skipped")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "junit.xml"
            report.write_junit(path)
            root = ET.parse(path).getroot()
        suites = {suite.get("name"): suite for suite in root}
        self.assertEqual(suites["kernel"].get("failures"), "1")
        self.assertEqual(suites["host"].get("skipped"), "1")

    def test_patterns(self) -> None:
        for pattern in ("vmo", "vmo.*", "kernel vmo.*", "ernel vmo.re"):
            self.assertTrue(matches("kernel", "vmo.resize", [pattern]), pattern)
        self.assertFalse(matches("kernel", "vmo.resize", ["resize.*", "user vmo"]))
        self.assertTrue(matches("kernel", "vmo.resize", []))


class UserProgramsTest(unittest.TestCase):
    def test_programs_of_a_manifest(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            manifest = Path(folder) / "system.manifest"
            manifest.write_text("bin/hello=user/hello\ntest/vmo=user/vmo\ntest/channel=x\n")
            self.assertEqual(user.programs(manifest), ["test/channel", "test/vmo"])


class RepeatsTest(unittest.TestCase):
    """What the matrix leaves out: nothing that has not run with the same settings."""

    _SOURCE = """
from jx.testing.lab import SystemTest, depends_on
class EveryTest(SystemTest):
    def test_it(self): print("everywhere")
@depends_on("smp", "variant")
class SomeTest(SystemTest):
    def test_it(self): print("not everywhere")
"""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(dir=ROOT / "tools" / "jx")
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "a_test.py"
        self.path.write_text(self._SOURCE)

    def test_a_class_runs_once_for_the_settings_it_names(self) -> None:
        repeats = system.Repeats()
        seen = [
            repeats.of(self.path, Settings(smp=smp, uefi=uefi, variant=variant))
            for variant in ("release", "debug")
            for smp in (1, 4)
            for uefi in (False, True)
        ]
        self.assertEqual(seen, [set(), {"SomeTest"}] * 4)

    def test_what_is_left_out_does_not_run(self) -> None:
        _, every = python.run_file(self.path, "system", [])
        _, some = python.run_file(self.path, "system", [], left_out={"SomeTest"})
        self.assertEqual([r.outcome for r in every], [PASSED, PASSED])
        self.assertEqual([r.name.split(".")[1] for r in some], ["EveryTest"])

    def test_the_names_are_settings(self) -> None:
        for path in system.files():
            for axes in python.class_settings(path).values():
                for axis in axes:
                    self.assertTrue(hasattr(Settings(), axis), f"{path}: {axis}")


if __name__ == "__main__":
    unittest.main()
