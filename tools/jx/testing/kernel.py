"""The in-kernel unit tests: boots with `kernel.ut=`, and again after a case that took the machine down."""

import time
from collections.abc import Callable
from dataclasses import replace

from jx.guest import Ended, Event, Guest
from jx.image import BootImage
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
    for selection in _selections(settings, patterns):
        _run_selection(settings, selection, report)


def _selections(settings: Settings, patterns: list[str]) -> list[str]:
    if not patterns:
        return ["all"]
    wanted = [name for name in list_tests(settings) if matches(KIND, name, patterns)]
    chunks: list[str] = []
    for name in wanted:
        if chunks and len(chunks[-1]) + len(name) < _MAX_SELECTION:
            chunks[-1] += f",{name}"
        else:
            chunks.append(name)
    return chunks


def _run_selection(settings: Settings, selection: str, report: Report) -> None:
    started, first = time.monotonic(), len(report.results)
    options = f"kernel.ut={selection}"
    for _ in range(_MAX_BOOTS):
        tracker, before = CaseTracker(KIND, symbolizing(settings, report)), len(report.results)
        end = _boot(settings, options, tracker, report)
        how = end.how if end is not None else ""
        failed = any(result.outcome == FAILED for result in report.results[before:])
        if tracker.summary_seen and how == ("tests-failed" if failed else "clean"):
            break
        if tracker.last is None:
            message = f"no test ran: {end_message(end, tracker.limit_s)}"
            report.add(Result(KIND, "boot", FAILED, 0.0, message, tracker.take_output()))
            break
        if tracker.summary_seen or not tracker.ended_in_case:
            message = f"after {tracker.last}: {end_message(end, tracker.limit_s)}"
            report.add(Result(KIND, "end", FAILED, 0.0, message, tracker.take_output()))
            if tracker.summary_seen:
                break
        options = f"kernel.ut={selection} kernel.ut.after={tracker.last}"
    else:
        report.add(Result(KIND, "boot", FAILED, 0.0, f"gave up after {_MAX_BOOTS} boots"))
    results = report.results[first:]
    if not results:
        report.add(Result(KIND, "boot", FAILED, 0.0, "the kernel ran no test at all"))
    report.group_done(f"kernel {settings.name()}", results, started)


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
