"""Follows the cases that a guest reports by `[test]` markers, each against its own time limit."""

import time
from collections.abc import Callable

from jx.guest import Ended, Event
from jx.markers import Marker
from jx.testing.results import FAILED, PASSED, SKIPPED, Result

DEFAULT_LIMIT_S = 30.0
# With no case running: power-on to the first case, or from one program to the next.
BETWEEN_LIMIT_S = 60.0

_OUTCOMES = {"ok": PASSED, "fail": FAILED, "skip": SKIPPED}
_KEPT_OUTPUT = 20000


class CaseTracker:
    """Turns markers and text into results. `emit` gets each result when it is known."""

    def __init__(
        self,
        kind: str,
        emit: Callable[[Result], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kind = kind
        self._emit = emit
        self._clock = clock
        self._since = clock()
        self._limit = BETWEEN_LIMIT_S
        self._output = b""
        self.current: str | None = None
        self.last: str | None = None
        self.listed: list[str] = []
        self.summary_seen = False
        # Set by who follows the machine: it ended while a case ran.
        self.ended_in_case = False

    @property
    def deadline(self) -> float:
        """When the running case, or the pause between two, has lasted too long."""
        return self._since + self._limit

    @property
    def limit_s(self) -> float:
        return self._limit

    def feed(self, event: Event) -> None:
        if isinstance(event, bytes):
            self._output = (self._output + event)[-_KEPT_OUTPUT:]
        elif isinstance(event, Marker) and event.word == "test":
            self._test(event)
        elif isinstance(event, Marker) and event.word == "tests":
            self.summary_seen = True
            self._pause()
        elif isinstance(event, Marker) and event.word == "panic":
            self._output += f"kernel panic: {event.rest}\n".encode()

    def fail_current(self, message: str, extra: str = "") -> None:
        """The running case will not end by itself."""
        assert self.current is not None
        self._finish(self.current, FAILED, message, extra)

    def take_output(self) -> str:
        """Text since the last case ended."""
        text, self._output = self._output.decode("utf-8", "replace"), b""
        return text

    def _test(self, marker: Marker) -> None:
        kind, name, what, rest = marker.fields(4)
        if kind != self._kind:
            return
        if what == "start":
            if self.current is not None:
                self.fail_current("the next test started before this one reported")
            self.current = name
            self._since, self._output = self._clock(), b""
            self._limit = _limit(rest)
        elif what == "listed":
            self.listed.append(name)
        elif what in _OUTCOMES:
            if self.current != name:
                message = f"reported `{what}` without having been started"
                self._emit(Result(kind, name, FAILED, 0.0, message))
            else:
                self._finish(name, _OUTCOMES[what], "" if what == "ok" else rest)

    def _finish(self, name: str, outcome: str, message: str, extra: str = "") -> None:
        seconds = self._clock() - self._since
        output = self.take_output() + extra
        self.last, self.current = name, None
        self._pause()
        self._emit(Result(self._kind, name, outcome, seconds, message, output))

    def _pause(self) -> None:
        self._since, self._limit = self._clock(), BETWEEN_LIMIT_S


def _limit(rest: str) -> float:
    for word in rest.split():
        if word.startswith("limit=") and word[6:].isdecimal():
            return float(word[6:])
    return DEFAULT_LIMIT_S


def end_message(end: Ended | None, limit_s: float) -> str:
    """Why a case that was running did not report."""
    if end is None:
        return f"hung: no result within {limit_s:g} s of its start"
    if end.how == "panic":
        return "kernel panic"
    return f"the machine ended in it: {end.how} {end.detail}".rstrip()
