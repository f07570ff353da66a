"""The in-kernel unit tests: boots with `kernel.ut=`, and again after a case that took the machine down."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby

from jx.guest import Ended, Event, Guest
from jx.boot_image import BootImage
from jx.machine import Settings
from jx.markers import Marker
from jx.script import symbolizer
from jx.testing.cases import CaseTracker, end_message
from jx.testing.results import FAILED, Report, Result, matches

KIND = "kernel"
_MAX_BOOTS = 12
# The kernel's command line has an end; long selections take several boots.
_MAX_SELECTION = 2000
_REPORT_S = 15.0
_SHOWN_LOG = 3000


def list_tests(settings: Settings) -> list[str]:
    """Asks the kernel itself."""
    tracker = CaseTracker(KIND, lambda result: None)
    end = _boot(settings, "kernel.ut=list", tracker)
    if not tracker.summary_seen:
        raise RuntimeError(f"the kernel did not list its tests: {end_message(end, 0)}")
    return tracker.listed


def run(settings: Settings, patterns: list[str], report: Report) -> None:
    started, first = time.monotonic(), len(report.results)
    if not patterns:
        _Suite(settings, report).run(["all"], None, None)
    else:
        names = list_tests(settings)
        wanted = [name for name in names if matches(KIND, name, patterns)]
        if not wanted:
            return
        _Suite(settings, report).run(selections(wanted, names), wanted, names)
    results = report.results[first:]
    if not results:
        report.add(Result(KIND, "boot", FAILED, 0.0, "the kernel ran no test at all"))
    report.group_done(f"kernel {settings.name()}", results, started)


def selections(wanted: list[str], names: list[str]) -> list[str]:
    """Values of `kernel.ut=` that ask for these tests, each short enough for one command line.

    A group of which all is wanted is named as a whole.
    """
    words: list[str] = []
    for group, members in groupby(wanted, key=lambda name: name.partition(".")[0]):
        chosen = list(members)
        all_of_it = [name for name in names if name.startswith(f"{group}.")]
        words += [f"{group}.*"] if chosen == all_of_it else chosen
    chunks: list[str] = []
    for word in words:
        if chunks and len(chunks[-1]) + len(word) < _MAX_SELECTION:
            chunks[-1] += f",{word}"
        else:
            chunks.append(word)
    return chunks


class _Suite:
    """Boots until every test that is wanted has been reported, or nothing gets on any more."""

    def __init__(self, settings: Settings, report: Report) -> None:
        self._settings = settings
        self._report = report
        self._done: set[str] = set()

    def run(self, queue: list[str], wanted: list[str] | None, names: list[str] | None) -> None:
        """`wanted` of `names`; None if the queue is `all` and the kernel has not been asked yet."""
        for _ in range(_MAX_BOOTS):
            if not queue:
                return
            before = len(self._done)
            if self._boot(queue.pop(0)):
                continue
            if len(self._done) == before:
                return
            # The machine came down in the middle: the rest gets a new one.
            if names is None:
                names = list_tests(self._settings)
            wanted = names if wanted is None else wanted
            queue = selections([name for name in wanted if name not in self._done], names)
        if queue:
            self._fail("boot", f"gave up after {_MAX_BOOTS} boots")

    def _boot(self, selection: str) -> bool:
        """True if the kernel came to the end of its selection."""
        emit = symbolizing(self._settings, self._report)
        failures = 0

        def note(result: Result) -> None:
            nonlocal failures
            failures += result.outcome == FAILED
            self._done.add(result.name)
            emit(result)

        tracker = CaseTracker(KIND, note)
        end = _boot(self._settings, f"kernel.ut={selection}", tracker, self._report)
        if tracker.summary_seen:
            wanted = "tests-failed" if failures else "clean"
            if end is None or end.how != wanted:
                self._fail("end", f"after {tracker.last}: {end_message(end, tracker.limit_s)}", tracker)
            return True
        if tracker.last is None:
            self._fail("boot", f"no test ran: {end_message(end, tracker.limit_s)}", tracker)
        elif not tracker.ended_in_case:
            self._fail("end", f"after {tracker.last}: {end_message(end, tracker.limit_s)}", tracker)
        return False

    def _fail(self, name: str, message: str, tracker: CaseTracker | None = None) -> None:
        output = tracker.take_output() if tracker is not None else ""
        self._report.add(Result(KIND, name, FAILED, 0.0, message, output))


def _boot(
    settings: Settings, options: str, tracker: CaseTracker, report: Report | None = None
) -> Ended | None:
    """One boot, followed to its end. A case that was running has failed then."""
    settings = settings.with_changes(append=f"{settings.append} {options}".strip())
    with BootImage(settings) as files, Guest(settings, files) as guest:
        end = follow(guest, tracker, report)
        log = guest.debug_log()
    tracker.ended_in_case = tracker.current is not None
    if tracker.current is not None:
        message = end_message(end, tracker.limit_s)
        tracker.fail_current(message, f"\n(the kernel's log)\n{log[-_SHOWN_LOG:]}")
    return end


def symbolizing(settings: Settings, report: Report) -> Callable[[Result], None]:
    """Adds results to the report, the addresses in their output replaced by what they mean."""

    def emit(result: Result) -> None:
        if result.outcome == FAILED:
            result = replace(result, output=symbolizer(settings).report(result.output))
        report.add(result)

    return emit


def follow(guest: Guest, tracker: CaseTracker, report: Report | None = None) -> Ended | None:
    """Feeds the tracker until the machine ends, or a limit is reached: None."""
    panic_deadline = float("inf")
    while True:
        event: Event | None = guest.next(min(tracker.deadline, panic_deadline))
        if event is None:
            return Ended("panic") if panic_deadline != float("inf") else None
        if isinstance(event, Ended):
            return event
        if isinstance(event, Marker) and event.word == "panic":
            panic_deadline = time.monotonic() + _REPORT_S
        tracker.feed(event)
        if report is not None and tracker.current is not None:
            report.progress(f"running {KIND} {tracker.current}")
