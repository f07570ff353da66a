"""Boots a machine with a run list and follows it: what each command wrote, its exit code, the end."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from jx.guest import Ended, Event, Guest
from jx.boot_image import BootImage
from jx.machine import Settings
from jx.markers import Marker
from jx.symbolize import Symbolizer
from jx.tree import out_dir

# After a panic marker the report still follows; the machine ends itself after it.
_REPORT_S = 15.0

# Told about everything in order, as it happens: (event, index of the running command or None).
Watcher = Callable[[Event, int | None], None]


@dataclass
class CommandResult:
    """One command of the run list. `code` stays None if it never ended."""

    command: str
    output: bytes = b""
    code: int | None = None


@dataclass
class ScriptResult:
    """What came of a run list."""

    commands: list[CommandResult] = field(default_factory=list)
    values: dict[str, int] = field(default_factory=dict)
    end: Ended | None = None
    done: bool = False
    panic: str = ""
    debug_log: str = ""
    outside: bytes = b""  # what was written while no command ran

    @property
    def timed_out(self) -> bool:
        return self.end is None

    @property
    def panicked(self) -> bool:
        return bool(self.panic) or (self.end is not None and self.end.how == "panic")

    def running(self) -> CommandResult | None:
        """The command that had begun and not ended when the machine did."""
        last = self.commands[-1] if self.commands else None
        return last if last is not None and last.code is None else None

    def complete(self, count: int) -> bool:
        """All `count` commands ended; a last one that switches the power off has, too."""
        if self.panicked or self.end is None or self.end.how != "power-off":
            return False
        return self.done or len(self.commands) == count


def symbolizer(settings: Settings) -> Symbolizer:
    folder = out_dir(settings.variant)
    return Symbolizer(settings.kernel_elf(), (folder / "user", folder / "libc"), added=settings.adds)


def run_script(
    settings: Settings, commands: list[str], seconds: float, watcher: Watcher | None = None
) -> ScriptResult:
    """Runs the commands one after the other, with a limit on the whole."""
    with BootImage(settings, commands) as files, Guest(settings, files) as guest:
        return _follow(guest, settings, time.monotonic() + seconds, watcher)


def _follow(
    guest: Guest, settings: Settings, deadline: float, watcher: Watcher | None
) -> ScriptResult:
    result = ScriptResult()
    report: list[bytes] | None = None
    while True:
        event = guest.next(deadline)
        running = result.running()
        if watcher is not None and event is not None:
            in_command = running is not None and report is None
            watcher(event, len(result.commands) - 1 if in_command else None)
        if event is None:
            break
        if isinstance(event, Ended):
            result.end = event
            break
        if isinstance(event, bytes):
            if report is not None:
                report.append(event)
            elif running is not None:
                running.output += event
            else:
                result.outside += event
        elif isinstance(event, Marker):
            if event.word == "panic" and report is None:
                report = [f"kernel panic: {event.rest}\n".encode()]
                deadline = min(deadline, time.monotonic() + _REPORT_S)
            else:
                _note_marker(result, event)
    if report is not None:
        text = b"".join(report).decode("utf-8", "replace")
        result.panic = symbolizer(settings).report(text)
        if result.end is None:
            result.end = Ended("panic", "the machine did not end itself after its panic")
    result.debug_log = guest.debug_log()
    return result


def _note_marker(result: ScriptResult, marker: Marker) -> None:
    running = result.running()
    if marker.word == "run":
        result.commands.append(CommandResult(marker.fields(2)[1]))
    elif marker.word == "exit" and running is not None:
        running.code = int(marker.rest) if marker.rest.lstrip("-").isdecimal() else 255
    elif marker.word == "done":
        result.done = True
    elif marker.word == "value":
        name, number = marker.fields(2)
        if number.lstrip("-").isdecimal():
            result.values[name] = int(number)
