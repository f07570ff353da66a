"""The conformance tests in user mode: programs `test/NAME` of the boot image, run by init's run list."""

import time
from pathlib import Path

from jx.guest import Ended, Guest
from jx.boot_image import BootImage
from jx.machine import Settings
from jx.markers import Marker
from jx.testing.cases import CaseTracker, end_message
from jx.testing.kernel import symbolizing
from jx.testing.results import FAILED, Report, Result, matches
from jx.tree import out_dir

KIND = "user"
_FOLDER = "test/"
_REPORT_S = 15.0
_SHOWN_LOG = 3000


def programs(manifest: Path) -> list[str]:
    """The test programs that the boot image holds, by its manifest (lines BOOTPATH=HOSTPATH)."""
    paths = [line.partition("=")[0].strip() for line in manifest.read_text().splitlines()]
    return sorted(path for path in paths if path.startswith(_FOLDER))


def list_tests(settings: Settings) -> list[str]:
    """Asks every program."""
    tracker = CaseTracker(KIND, lambda result: None)
    commands = [f"{program} --list" for program in _programs(settings)]
    if commands:
        boot = _Boot(settings, commands, tracker)
        boot.run()
        if boot.unfinished() is not None or not boot.done:
            raise RuntimeError(f"a test program did not list its tests: {boot.trouble()}")
    return tracker.listed


def run(settings: Settings, patterns: list[str], report: Report) -> None:
    commands = _programs(settings)
    if patterns:
        wanted = [name for name in list_tests(settings) if matches(KIND, name, patterns)]
        commands = _selected(wanted)
    started, first = time.monotonic(), len(report.results)
    # Each boot ends at the latest with the program that took the machine down.
    while commands:
        tracker = CaseTracker(KIND, symbolizing(settings, report))
        boot = _Boot(settings, commands, tracker, report)
        boot.run()
        commands = commands[boot.finish() :]
    results = report.results[first:]
    if results:
        report.group_done(f"user {settings.name()}", results, started)


def _programs(settings: Settings) -> list[str]:
    return programs(out_dir(settings.variant) / f"{settings.image}.manifest")


def _selected(names: list[str]) -> list[str]:
    """Commands that run these cases (`NAME.case`), one per program."""
    by_program: dict[str, list[str]] = {}
    for name in names:
        program, _, case = name.partition(".")
        by_program.setdefault(program, []).append(case)
    return [f"{_FOLDER}{program} {' '.join(cases)}" for program, cases in by_program.items()]


class _Boot:
    """One boot with a run list of test programs."""

    def __init__(
        self,
        settings: Settings,
        commands: list[str],
        tracker: CaseTracker,
        report: Report | None = None,
    ) -> None:
        self._settings = settings
        self._commands = commands
        self._tracker = tracker
        self._report = report
        self._index = -1
        self._failures_before = 0
        self._in_program = False
        self._end: Ended | None = None
        self._log = ""
        self.done = False

    def run(self) -> None:
        with BootImage(self._settings, self._commands) as files:
            with Guest(self._settings, files) as guest:
                self._follow(guest)
                self._log = guest.debug_log()

    def _follow(self, guest: Guest) -> None:
        tracker, panic_deadline = self._tracker, float("inf")
        while True:
            event = guest.next(min(tracker.deadline, panic_deadline))
            if event is None or isinstance(event, Ended):
                panicked = panic_deadline != float("inf")
                self._end = Ended("panic") if event is None and panicked else event
                return
            tracker.feed(event)
            if isinstance(event, Marker):
                if event.word == "panic":
                    panic_deadline = time.monotonic() + _REPORT_S
                else:
                    self._marker(event)
            if self._report is not None and tracker.current is not None:
                self._report.progress(f"running {KIND} {tracker.current}")

    def _marker(self, marker: Marker) -> None:
        if marker.word == "run":
            self._index += 1
            self._in_program = True
            self._tracker.summary_seen = False
            self._failures_before = self._failed_so_far()
        elif marker.word == "exit":
            self._in_program = False
            self._program_ended(marker.rest)
        elif marker.word == "done":
            self.done = True

    def _program_ended(self, code: str) -> None:
        """The program's exit code must agree with what its cases reported."""
        if self._tracker.current is not None:
            self._tracker.fail_current(f"the program ended in it with exit code {code}")
        elif self._report is not None and not self._tracker.summary_seen:
            message = f"ended with exit code {code} and without the [tests] line"
            self._fail_program(self._program_name(), message)
        elif self._report is not None and (code == "0") != (self._failures == 0):
            message = f"ended with exit code {code} after {self._failures} failed cases"
            self._fail_program(self._program_name(), message)

    def _failed_so_far(self) -> int:
        return self._report.count(FAILED) if self._report is not None else 0

    @property
    def _failures(self) -> int:
        """Failed cases of the running program."""
        return self._failed_so_far() - self._failures_before

    def _program_name(self) -> str:
        return self._commands[self._index].removeprefix(_FOLDER).partition(" ")[0]

    def unfinished(self) -> str | None:
        """The command that was running when the machine ended."""
        return self._commands[self._index] if self._in_program else None

    def trouble(self) -> str:
        return end_message(self._end, self._tracker.limit_s)

    def finish(self) -> int:
        """Reports what the end of the machine left open; how many commands are dealt with."""
        if self.done and self._end is not None and self._end.how == "power-off":
            return len(self._commands)
        if self._tracker.current is not None:
            self._tracker.fail_current(self.trouble(), self._log_text())
        elif self._in_program:
            self._fail_program(self._program_name(), self.trouble())
        elif self._index < 0:
            self._fail_program("boot", f"no test program ran: {self.trouble()}")
            return len(self._commands)
        else:
            self._fail_program(f"after {self._program_name()}", self.trouble())
        return self._index + 1

    def _fail_program(self, name: str, message: str) -> None:
        assert self._report is not None
        output = self._tracker.take_output() + self._log_text()
        symbolizing(self._settings, self._report)(
            Result(KIND, name, FAILED, 0.0, message, output)
        )

    def _log_text(self) -> str:
        return f"\n(the kernel's log)\n{self._log[-_SHOWN_LOG:]}" if self._log else ""
