"""What a test came to, the running report, the closing line and the JUnit file."""

import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TextIO

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

# Bytes of a failed test's output that are shown; the end is what tells.
_SHOWN_OUTPUT = 6000

# Where there is no terminal, a line says that tests go on if there has been none for this long.
_QUIET_S = 10.0


@dataclass(frozen=True)
class Result:
    """One test that has ended. `name` is without the kind."""

    kind: str
    name: str
    outcome: str
    seconds: float = 0.0
    message: str = ""
    output: str = ""


def matches(kind: str, name: str, patterns: list[str]) -> bool:
    """Whether a test is asked for: a pattern is a glob for the whole name, or a part of it."""
    full = f"{kind} {name}"
    return not patterns or any(
        fnmatchcase(name, pattern) or fnmatchcase(full, pattern) or pattern in full
        for pattern in patterns
    )


class Report:
    """Collects results and shows progress while tests run."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._is_terminal = self._stream.isatty()
        self._status_shown = False
        self._last_line = time.monotonic()
        # Added to the names of results: which machine, where the same tests run on several.
        self.suffix = ""
        self.results: list[Result] = []

    def count(self, outcome: str) -> int:
        return sum(result.outcome == outcome for result in self.results)

    def section(self, title: str) -> None:
        self._print(f"== {title}")

    def progress(self, text: str) -> None:
        """What is going on now: one line that is overwritten, on a terminal only."""
        if self._is_terminal:
            self._stream.write(f"\r\x1b[K{text[:100]}")
            self._stream.flush()
            self._status_shown = True

    def add(self, result: Result) -> None:
        result = replace(result, name=result.name + self.suffix)
        self.results.append(result)
        if result.outcome == FAILED:
            self._print(f"FAILED  {result.kind} {result.name}: {result.message}")
            output = result.output[-_SHOWN_OUTPUT:].rstrip()
            for line in output.splitlines():
                self._print(f"    | {line}")
        elif result.outcome == SKIPPED:
            self._print(f"skipped {result.kind} {result.name}: {result.message}")
        elif self._is_terminal:
            self.progress(f"passed  {result.kind} {result.name}")
        elif time.monotonic() - self._last_line > _QUIET_S:
            self._print(f"   ... {result.kind} {result.name}")

    def group_done(self, title: str, results: list[Result], started: float) -> None:
        """One line for tests that belong together (a program, a boot)."""
        failed = sum(result.outcome == FAILED for result in results)
        passed = sum(result.outcome == PASSED for result in results)
        verdict = f"{passed} passed" + (f", {failed} FAILED" if failed else "")
        self._print(f"   {title}: {verdict} ({time.monotonic() - started:.1f} s)")

    def close(self) -> int:
        """Prints the closing line; gives the exit code."""
        passed, failed = self.count(PASSED), self.count(FAILED)
        for result in self.results:
            if result.outcome == FAILED:
                self._print(f"FAILED  {result.kind} {result.name}: {result.message}")
        self._print(f"{passed} passed, {failed} failed, {self.count(SKIPPED)} skipped")
        return 0 if failed == 0 else 1

    def write_junit(self, path: Path) -> None:
        root = ET.Element("testsuites")
        for kind in dict.fromkeys(result.kind for result in self.results):
            of_kind = [result for result in self.results if result.kind == kind]
            suite = ET.SubElement(root, "testsuite", name=kind, tests=str(len(of_kind)))
            suite.set("failures", str(sum(r.outcome == FAILED for r in of_kind)))
            suite.set("skipped", str(sum(r.outcome == SKIPPED for r in of_kind)))
            suite.set("time", f"{sum(r.seconds for r in of_kind):.3f}")
            for result in of_kind:
                _junit_case(suite, result)
        ET.indent(root)
        ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)

    def _print(self, text: str) -> None:
        if self._status_shown:
            self._stream.write("\r\x1b[K")
            self._status_shown = False
        self._last_line = time.monotonic()
        self._stream.write(text + "\n")
        self._stream.flush()


def _junit_case(suite: ET.Element, result: Result) -> None:
    group, _, case = result.name.rpartition(".")
    classname = f"{result.kind}.{group}" if group else result.kind
    element = ET.SubElement(suite, "testcase", classname=classname, name=case)
    element.set("time", f"{result.seconds:.3f}")
    if result.outcome == FAILED:
        failure = ET.SubElement(element, "failure", message=_printable(result.message))
        failure.text = _printable(result.output)
    elif result.outcome == SKIPPED:
        ET.SubElement(element, "skipped", message=_printable(result.message))


def _printable(text: str) -> str:
    """XML has no way to write most control characters."""
    return "".join(c if c >= " " or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
