"""Whole-machine tests (tests/system/*_test.py), and the smoke test in other machines."""

import time
from pathlib import Path

from jx.machine import Settings
from jx.script import run_script
from jx.testing import python
from jx.testing.lab import settings_to_environment
from jx.testing.results import FAILED, PASSED, Report, Result
from jx.tree import ROOT

KIND = "system"
SMOKE_COMMANDS = ["hello smoke", "small/ls /boot/bin", "ps", "k mem", "k threads", "hello again"]
# The machine's whole life. Under a second in a direct boot; firmware takes its time under TCG.
_SMOKE_LIMIT_S = 60.0


def files() -> list[Path]:
    return sorted((ROOT / "tests" / "system").rglob("*_test.py"))


def list_tests(*, soak: bool) -> list[str]:
    return [name for path in files() for name in python.list_tests(path, soak=soak)]


class Repeats:
    """Which classes have run with these values of the settings that they depend on."""

    def __init__(self) -> None:
        self._seen: set[tuple[object, ...]] = set()

    def of(self, path: Path, settings: Settings) -> set[str]:
        """The file's classes that have; the others are taken to run now."""
        repeated = set()
        for name, axes in python.class_settings(path).items():
            key = (path, name, *(getattr(settings, axis) for axis in axes))
            if key in self._seen:
                repeated.add(name)
            self._seen.add(key)
        return repeated


def run(
    settings: Settings,
    patterns: list[str],
    report: Report,
    *,
    soak: bool = False,
    repeats: Repeats | None = None,
) -> None:
    environment = settings_to_environment(settings)
    for path in files():
        report.progress(f"running {KIND} {python.title(path)}")
        if not python.selected(path, patterns, KIND, soak=soak):
            continue
        left_out = repeats.of(path, settings) if repeats is not None else set()
        started, results = python.run_file(
            path, KIND, patterns, environment, soak=soak, left_out=left_out
        )
        for result in results:
            report.add(result)
        if not results:
            continue
        report.group_done(f"system {python.title(path)} {settings.name()}", results, started)


def smoke(settings: Settings, report: Report) -> None:
    """Boot, programs, power-off: one result per machine."""
    started = time.monotonic()
    name = f"smoke.{settings.name()}"
    report.progress(f"running {KIND} {name}")
    result = run_script(settings, SMOKE_COMMANDS, _SMOKE_LIMIT_S)
    message = ""
    if not result.complete(len(SMOKE_COMMANDS)):
        end = " ".join(result.end).strip() if result.end is not None else "time limit reached"
        running = result.running()
        message = f"{end} ({running.command if running is not None else 'no command running'})"
    elif any(command.code != 0 for command in result.commands):
        failed = next(command for command in result.commands if command.code != 0)
        message = f"`{failed.command}` gave exit code {failed.code}"
    text = b"".join(command.output for command in result.commands).decode("utf-8", "replace")
    output = f"{text}\n{result.panic}\n(the kernel's log)\n{result.debug_log[-3000:]}"
    outcome = FAILED if message else PASSED
    one = Result(KIND, name, outcome, time.monotonic() - started, message, output if message else "")
    report.add(one)
    report.group_done(name, [one], started)
