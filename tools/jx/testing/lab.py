"""For tests of whole machines (tests/system/*_test.py): a TestCase that boots Jacinth and looks at it.

    class HelloTest(SystemTest):
        def test_hello(self) -> None:
            result = self.run_commands("hello a b")
            self.assertEqual(result.commands[0].code, 0)
"""

import json
import os
import time
import unittest
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TypeVar

from jx.guest import Ended, Guest
from jx.boot_image import BootImage
from jx.machine import BootFiles, Settings
from jx.markers import Marker
from jx.script import ScriptResult, run_script

_SETTINGS_VARIABLE = "JX_SETTINGS"
_SOAK_ATTRIBUTE = "jx_soak"
_RESCUE = "init.rescue=1"

_Test = TypeVar("_Test", bound=Callable[..., None])
_Class = TypeVar("_Class", bound=type[unittest.TestCase])


def limit(seconds: float) -> Callable[[_Test], _Test]:
    """Decorator: the test's time limit, counted from its start (120 s otherwise)."""

    def mark(test: _Test) -> _Test:
        test.jx_limit_s = seconds  # type: ignore[attr-defined]
        return test

    return mark


def depends_on(*settings: str) -> Callable[[_Class], _Class]:
    """Decorator of a class: of the machine's settings, only these make a difference to its tests.

    The matrix runs such a class once for each combination of them, and a class without this in
    every machine. (Found by name in the source: use it as `@depends_on("smp", "variant")`.)
    """
    unknown = set(settings) - {one.name for one in fields(Settings)}
    if unknown:
        raise ValueError(f"no such settings: {sorted(unknown)}")
    return lambda tests: tests


def soak(test: _Test) -> _Test:
    """Decorator: only with `./jx test --soak`. (Found by name in the source: use it as `@soak`.)"""
    setattr(test, _SOAK_ATTRIBUTE, True)
    return test


def settings_to_environment(settings: Settings) -> dict[str, str]:
    """How the machine under test gets into the process that runs the cases."""
    plain = asdict(settings)
    plain["adds"] = [[str(host), boot] for host, boot in settings.adds]
    plain["disks"] = [str(disk) for disk in settings.disks]
    plain["kernel"] = None if settings.kernel is None else str(settings.kernel)
    return {_SETTINGS_VARIABLE: json.dumps(plain)}


def settings_from_environment() -> Settings:
    text = os.environ.get(_SETTINGS_VARIABLE)
    if text is None:
        return Settings(image="tests")
    plain = json.loads(text)
    plain["adds"] = tuple((Path(host), boot) for host, boot in plain["adds"])
    plain["disks"] = tuple(Path(disk) for disk in plain["disks"])
    plain["kernel"] = None if plain["kernel"] is None else Path(plain["kernel"])
    plain["qemu_args"] = tuple(plain["qemu_args"])
    return Settings(**plain)


class SystemTest(unittest.TestCase):
    """`self.settings` is the machine asked for on the command line; tests may change a copy."""

    def setUp(self) -> None:
        self.settings = settings_from_environment()

    def run_commands(
        self, *commands: str, seconds: float = 60.0, **changes: object
    ) -> ScriptResult:
        """Boots with a run list; fails the test unless all of it ran and the power went off.

        `changes` are changes of the settings: `smp=16`, `mem="32M"`, `adds=((path, "bin/x"),)`.
        """
        result = self.try_commands(*commands, seconds=seconds, **changes)
        if not result.complete(len(commands)):
            running = result.running()
            what = running.command if running is not None else "no command running"
            end = " ".join(result.end) if result.end is not None else "time limit reached"
            self.fail(f"{end.strip()} ({what})\n{result.panic}\n{self._told(result)}")
        return result

    def try_commands(
        self, *commands: str, seconds: float = 60.0, **changes: object
    ) -> ScriptResult:
        """The same for a machine that may well not live to the end of its list."""
        return run_script(self.settings.with_changes(**changes), list(commands), seconds)

    def boot(self, *, shell: bool = False, **changes: object) -> "Console":
        """A machine at its prompt, to be typed at; use it in a `with` block.

        The prompt is init's own, which says little and needs no C library; with `shell` it is the system's.
        """
        settings = self.settings.with_changes(**changes)
        if not shell:
            settings = settings.with_changes(append=f"{settings.append} {_RESCUE}".strip())
        return Console(self, settings)

    @staticmethod
    def _told(result: ScriptResult) -> str:
        output = b"".join(command.output for command in result.commands)
        return f"{output.decode('utf-8', 'replace')}\n(the kernel's log)\n{result.debug_log[-3000:]}"


class Console:
    """The serial line of a machine that booted to its prompt."""

    def __init__(self, test: unittest.TestCase, settings: Settings) -> None:
        self._test = test
        self._image = BootImage(settings)
        self._settings = settings
        self.text = b""
        self.end: Ended | None = None
        self.markers: list[Marker] = []

    def __enter__(self) -> "Console":
        files: BootFiles = self._image.__enter__()
        try:
            self.guest = Guest(self._settings, files).__enter__()
            self.wait_marker("ready")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *error: object) -> None:
        guest = getattr(self, "guest", None)
        if guest is not None:
            guest.stop()
        self._image.__exit__(None, None, None)

    def type(self, text: str) -> None:
        self.guest.send(text.encode())

    def wait_marker(self, word: str, seconds: float = 60.0) -> Marker:
        """Waits for the next marker of this kind."""
        before = sum(marker.word == word for marker in self.markers)
        self._wait(lambda: sum(m.word == word for m in self.markers) > before, f"[{word}]", seconds)
        return [marker for marker in self.markers if marker.word == word][-1]

    def wait_text(self, text: str, seconds: float = 30.0) -> str:
        """Waits for this text, takes what came until its end and gives it."""
        wanted = text.encode()
        self._wait(lambda: wanted in self.text, repr(text), seconds)
        end = self.text.index(wanted) + len(wanted)
        taken, self.text = self.text[:end], self.text[end:]
        return taken.decode("utf-8", "replace")

    def wait_end(self, seconds: float = 30.0) -> Ended:
        self._wait(lambda: self.end is not None, "the machine's end", seconds)
        assert self.end is not None
        return self.end

    def _wait(self, done: Callable[[], bool], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            event = None if self.end is not None else self.guest.next(deadline)
            if event is None:
                tail = self.text[-2000:].decode("utf-8", "replace")
                how = f"ended ({self.end.how})" if self.end is not None else f"{seconds:g} s passed"
                self._test.fail(f"waited for {what}: {how}. Last output:\n{tail}")
            elif isinstance(event, Ended):
                self.end = event
            elif isinstance(event, bytes):
                self.text += event
            elif isinstance(event, Marker):
                self.markers.append(event)
