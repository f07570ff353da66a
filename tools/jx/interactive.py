"""A machine with this terminal as its console."""

import math
import os
import sys
import termios
import time
import tty
from contextlib import contextmanager
from collections.abc import Iterator

from jx.guest import Ended, Guest, Input
from jx.boot_image import BootImage
from jx.machine import Settings
from jx.markers import Marker, in_words
from jx.script import symbolizer
from jx.symbolize import FrameStream

_ESCAPE = 0x01  # Ctrl-A, as in QEMU
# The end of input ends what reads it: a program, or a shell, after which there is a new one. (Init's own
# prompt switches off by itself.) A program that took this for its input is told again when all is
# quiet; `limit` is for those that never end.
_END_OF_INPUT = b"\x04poweroff\r"
_AGAIN_S = 10.0
_QUIET_S = 3600.0


class Keyboard:
    """What the user types: passes it on, except for Ctrl-A x, which ends the machine."""

    def __init__(self) -> None:
        self._escaped = False
        self.quit = False

    def feed(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if self._escaped:
                self._escaped = False
                if byte in b"xX":
                    self.quit = True
                    break
                out.append(byte)
            elif byte == _ESCAPE:
                self._escaped = True
            else:
                out.append(byte)
        return bytes(out)


@contextmanager
def _raw_terminal(fd: int) -> Iterator[None]:
    """Every key reaches the guest; the terminal is as before afterwards, whatever happens."""
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def run(
    settings: Settings, commands: list[str] | None = None, *,
    patient: bool = False, limit: float | None = None,
) -> int:  # fmt: skip
    """Boots to the prompt. 0 after a power-off or Ctrl-A x, 70 after a panic, 124 if it still runs
    after `limit` seconds, 69 otherwise."""
    stdin = sys.stdin.fileno()
    if os.isatty(stdin):
        print("jx: Ctrl-A x ends the machine", file=sys.stderr, flush=True)
    raw = os.isatty(sys.stdout.fileno())
    with BootImage(settings, commands) as files:
        with Guest(settings, files, raw=raw, patient=patient) as guest, _raw_terminal(stdin):
            console = _Console(guest, settings, stdin, limit)
            end = console.follow()
    if console.timed_out:
        print(f"jx: time limit of {limit:g} s reached", file=sys.stderr)
        return 124
    if end is None or end.how in ("power-off", "clean"):
        return 0
    print(f"jx: the machine ended: {end.words()}", file=sys.stderr)
    return 70 if end.how == "panic" else 69


class _Console:
    """Moves bytes both ways until the machine ends (or the user or the time limit ends it: None)."""

    def __init__(self, guest: Guest, settings: Settings, stdin: int, limit: float | None) -> None:
        self._guest = guest
        self._deadline = time.monotonic() + limit if limit is not None else math.inf
        self.timed_out = False
        self._stdin = stdin
        self._is_terminal = os.isatty(stdin)
        self._keyboard = Keyboard()
        self._symbolizer = symbolizer(settings)
        self._frames = FrameStream(self._symbolizer, b"\r\n")
        self._in_panic = False
        self._line = b""
        self._begun = False
        self._at_line_begin = True
        self._input_ended = False
        # Keys may be typed at once; a file or pipe waits for the prompt, so that nothing of it is
        # lost while the guest sets up its serial port.
        self._listening = self._is_terminal

    def follow(self) -> Ended | None:
        while not self._keyboard.quit:
            now = time.monotonic()
            if now >= self._deadline:
                self.timed_out = True
                self._write(b"", flush=True)
                break
            also = self._stdin if self._listening and not self._guest.is_sending() else None
            quiet = now + (_AGAIN_S if self._input_ended else _QUIET_S)
            event = self._guest.next(min(quiet, self._deadline), also)
            if isinstance(event, Ended):
                self._write(b"", flush=True)
                return event
            if isinstance(event, bytes):
                # The boot code's sign of life is for those who look why a machine says nothing.
                self._write(event if self._begun else event.removeprefix(b"!"))
                self._begun = True
            elif isinstance(event, Marker):
                self._marker(event)
            elif isinstance(event, Input):
                self._input()
            elif self._input_ended and not self._guest.is_sending():
                self._guest.send(_END_OF_INPUT)
        return None

    def _input(self) -> None:
        data = os.read(self._stdin, 4096)
        if not data:
            self._listening = False
            self._input_ended = True
            self._guest.send((b"" if self._at_line_begin else b"\r") + _END_OF_INPUT)
        elif self._is_terminal:
            self._guest.send(self._keyboard.feed(data))
        else:
            self._at_line_begin = data.endswith((b"\n", b"\r"))
            self._guest.send(data)

    def _marker(self, marker: Marker) -> None:
        if marker.word == "ready":
            self._listening = True
        elif marker.word == "panic":
            self._in_panic = True
            self._write(f"kernel panic: {marker.rest}\r\n".encode())
        elif words := in_words(marker):
            self._write(f"{words}\r\n".encode())

    def _write(self, data: bytes, *, flush: bool = False) -> None:
        """Text as it comes; crash and panic reports with their symbols."""
        if self._in_panic:
            *lines, self._line = (self._line + data).split(b"\n")
            if flush and self._line:
                lines.append(self._line)
            for line in lines:
                text = self._symbolizer.line(line.decode("utf-8", "replace").rstrip("\r"))
                _write_all(text.replace("\n", "\r\n").encode() + b"\r\n")
        else:
            _write_all(self._frames.feed(data) + (self._frames.flush() if flush else b""))


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
