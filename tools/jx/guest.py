"""One running QEMU: its serial line, its QMP monitor, its debug console and its end.

Everything has a deadline; nothing here waits for ever. QEMU connects to sockets that already listen,
so no byte is lost, and it is killed with this process, whatever happens to it.
"""

import ctypes
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from jx import firmware
from jx.machine import BootFiles, Channels, Settings, qemu_command
from jx.markers import Marker, MarkerParser

# A machine that has written nothing, anywhere, for this long after its start is dead.
FIRST_BYTE_S = 20.0
# Counted instructions make firmware wait for minutes: it measures time by its loops.
_FIRST_BYTE_ICOUNT_FACTOR = 15

# What the guest writes to isa-debug-exit, as QEMU's exit code.
EXIT_CLEAN = 0x10 << 1 | 1
EXIT_TESTS_FAILED = 0x11 << 1 | 1
EXIT_PANIC = 0x23 << 1 | 1

_CONNECT_S = 20.0
_PR_SET_PDEATHSIG = 1


_END_WORDS = {
    "power-off": "it was switched off",
    "panic": "the kernel panicked",
    "clean": "the kernel ended it as a success (kernel.ut passed, or the first program returned 0)",
    "tests-failed": "the kernel ended it as a failure"
    " (kernel.ut failed, or the first program did not start, was killed, or did not return 0)",
}


_IN_USE = re.compile(r"Failed to get .* lock\nIs another process using the image \[(.*)\]")


class GuestError(Exception):
    """QEMU could not be started."""


class Ended(NamedTuple):
    """How the machine ended.

    power-off, panic, clean and tests-failed (by isa-debug-exit), reset, silent, broken
    """

    how: str
    detail: str = ""

    def words(self) -> str:
        """For people: what comes after "the machine ended: "."""
        return self.detail or _END_WORDS.get(self.how, self.how)


class Input(NamedTuple):
    """The file descriptor given as `also` has something to read."""

    fd: int


Event = bytes | Marker | Ended | Input


class Guest:
    """A machine from its start to its end; use it in a `with` block."""

    def __init__(
        self, settings: Settings, files: BootFiles, *, raw: bool = False, patient: bool = False
    ) -> None:
        """`raw`: text keeps the CR that the guest's console puts before every newline.

        `patient`: silence is no fault (a debugger holds the machine).
        """
        self._settings = settings
        self._files = files
        self._raw = raw
        self._folder = Path(tempfile.mkdtemp(prefix="jx-"))
        self._channels = Channels(
            self._folder / "serial", self._folder / "qmp", self._folder / "debug.log"
        )
        self._parser = MarkerParser()
        self._newlines = NewlineDecoder()
        self._queue: list[Event] = []
        self._unsent = b""  # what was typed and is still ours
        self._heard = patient
        slow = _FIRST_BYTE_ICOUNT_FACTOR if settings.icount and settings.uefi else 1
        self._first_byte_s = FIRST_BYTE_S * slow
        self._ended = False
        self._shutdown_reason = ""
        self._qmp_open = True
        self._qmp_pending = b""
        self._qmp_answers: list[dict[str, object]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._serial: socket.socket | None = None
        self._qmp: socket.socket | None = None

    def __enter__(self) -> "Guest":
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        command = qemu_command(self._settings, self._files, self._channels)
        if self._settings.verbose:
            print(f"jx: {shlex.join(command)}", file=sys.stderr, flush=True)
        with _listen(self._channels.serial) as serial, _listen(self._channels.qmp) as qmp:
            with open(self._folder / "stderr", "wb") as errors:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                    start_new_session=True, preexec_fn=_die_with(os.getpid()),
                )  # fmt: skip
            self._started = time.monotonic()
            self._serial = self._accept(serial)
            self._qmp = self._accept(qmp)
        try:
            self._qmp.sendall(b'{"execute":"qmp_capabilities"}\n')
        except OSError:  # it ended between the two
            self._process.wait(_CONNECT_S)
            raise GuestError(f"QEMU did not start: {self.qemu_errors()}") from None

    def _accept(self, listener: socket.socket) -> socket.socket:
        deadline = self._started + _CONNECT_S
        listener.settimeout(0.1)
        while time.monotonic() < deadline:
            try:
                connection = listener.accept()[0]
            except TimeoutError:
                if self._process is not None and self._process.poll() is not None:
                    break
                continue
            connection.setblocking(True)
            return connection
        raise GuestError(f"QEMU did not start: {self.qemu_errors()}")

    def qemu_errors(self) -> str:
        """What QEMU itself had to say; of a disk that another one has, in plain words."""
        path = self._folder / "stderr"
        text = path.read_text(errors="replace").strip() if path.exists() else ""
        in_use = _IN_USE.search(text)
        return f"{in_use[1]} is in use by another machine" if in_use else text

    def debug_log(self) -> str:
        """What the guest has written to port 0xE9 so far: the kernel's log."""
        path = self._channels.debugcon
        return path.read_text(errors="replace") if path.exists() else ""

    def send(self, data: bytes) -> None:
        """Types on the serial line. What the guest does not take yet goes while `next` waits."""
        self._unsent += data
        self._send_unsent()

    def is_sending(self) -> bool:
        """The guest has not taken all that was typed."""
        return bool(self._unsent)

    def _send_unsent(self) -> None:
        assert self._serial is not None
        try:
            self._unsent = self._unsent[self._serial.send(self._unsent, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self._unsent = b""  # The machine has ended; the next event says how.

    def next(self, deadline: float, also: int | None = None) -> Event | None:
        """The next thing that happens; None if nothing does until `deadline` (time.monotonic)."""
        while not self._queue:
            if self._ended:
                return None
            now = time.monotonic()
            limit = deadline
            if not self._heard:
                self._heard = bool(self._debugcon_size())
                limit = min(deadline, self._started + self._first_byte_s)
            if now >= limit and not self._heard and limit < deadline:
                self._end(Ended("silent", self._silence()))
            elif now >= limit:
                return None
            else:
                ready = self._select(min(limit - now, 0.5), also)
                if ready is not None:
                    return ready
        return self._queue.pop(0)

    def _silence(self) -> str:
        text = f"not one byte within {self._first_byte_s:.0f} s of its start"
        others = firmware.differences()
        return f"{text}; {'; '.join(others)}" if others else text

    def _select(self, seconds: float, also: int | None) -> Event | None:
        assert self._serial is not None and self._qmp is not None
        watched: list[int] = [self._serial.fileno()]
        if self._qmp_open:
            watched.append(self._qmp.fileno())
        if also is not None:
            watched.append(also)
        taking = [self._serial.fileno()] if self._unsent else []
        readable, writable, _ = select.select(watched, taking, [], seconds)
        if writable:
            self._send_unsent()
        if self._qmp_open and self._qmp.fileno() in readable:
            self._qmp_open = self._read_qmp(self._qmp)
        if self._serial.fileno() in readable and not self._read_serial(self._serial):
            self._finish()
        if also is not None and also in readable:
            return Input(also)
        return None

    def _read_serial(self, connection: socket.socket) -> bool:
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            data = b""
        if data:
            self._heard = True
            self._queue += self._parser.feed(data if self._raw else self._newlines.feed(data))
        return bool(data)

    def _read_qmp(self, connection: socket.socket) -> bool:
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            data = b""
        self._qmp_pending += data
        *lines, self._qmp_pending = self._qmp_pending.split(b"\n")
        for line in lines:
            message = json.loads(line) if line.strip() else {}
            if message.get("event") == "SHUTDOWN":
                self._shutdown_reason = message["data"].get("reason", "")
            elif "return" in message or "error" in message:
                self._qmp_answers.append(message)
        return bool(data)

    def query(self, command: str, seconds: float = 10.0, **arguments: object) -> object:
        """A QMP command's answer; raises GuestError on an error or silence."""
        assert self._qmp is not None
        message = {"execute": command, "arguments": arguments}
        # The answer to the greeting's qmp_capabilities may still be under way: tell them apart.
        self._qmp_answers.clear()
        message["id"] = "query"
        self._qmp.sendall(json.dumps(message).encode() + b"\n")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for answer in self._qmp_answers:
                if answer.get("id") == "query":
                    if "error" in answer:
                        raise GuestError(f"{command}: {answer['error']}")
                    return answer["return"]
            if select.select([self._qmp], [], [], 0.2)[0] and not self._read_qmp(self._qmp):
                break
        raise GuestError(f"{command}: no answer")

    def _finish(self) -> None:
        """The serial line is closed: QEMU is ending. Finds out how it ended."""
        assert self._process is not None and self._qmp is not None
        self._queue += self._parser.feed(self._newlines.finish()) + self._parser.finish()
        try:
            code = self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._end(Ended("broken", "QEMU closed the serial line and did not end"))
            return
        self._qmp.settimeout(1.0)
        try:
            while self._read_qmp(self._qmp):
                pass
        except TimeoutError:
            pass
        self._end(_how_it_ended(code, self._shutdown_reason, self.qemu_errors()))

    def _end(self, event: Ended) -> None:
        self._ended = True
        self._queue.append(event)

    def _debugcon_size(self) -> int:
        try:
            return self._channels.debugcon.stat().st_size
        except FileNotFoundError:
            return 0

    def stop(self) -> None:
        """Kills the machine if it still runs, and removes its files."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for connection in (self._serial, self._qmp):
            if connection is not None:
                connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class NewlineDecoder:
    """Removes the one CR that the guest's console puts before every newline."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        self._held = b""
        if data.endswith(b"\r"):
            data, self._held = data[:-1], b"\r"
        return data.replace(b"\r\n", b"\n")

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return held


def _how_it_ended(code: int, reason: str, errors: str) -> Ended:
    if code == EXIT_PANIC:
        return Ended("panic")
    if code == EXIT_CLEAN:
        return Ended("clean")
    if code == EXIT_TESTS_FAILED:
        return Ended("tests-failed")
    if code == 0 and reason == "guest-shutdown":
        return Ended("power-off")
    if code == 0 and reason == "guest-reset":
        return Ended("reset", "the guest reset the machine (a reboot, or a triple fault)")
    return Ended("broken", f"QEMU ended with code {code}{f' ({reason})' if reason else ''}: {errors}")


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)
    return listener


def _die_with(parent: int) -> Callable[[], None]:
    """For the child, before exec: the kernel kills it when the thread that started it is gone."""

    def prepare() -> None:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
