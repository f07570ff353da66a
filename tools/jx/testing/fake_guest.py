"""A guest for the runner's own tests: QEMU is real, the system in it is testdata/echo.S.

It plays a script (the serial output of a system that we would like to see) and then does as ordered.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from jx.machine import BootFiles, Settings

_SOURCE = Path(__file__).resolve().parents[1] / "testdata" / "echo.S"

CAN_BOOT = all(map(shutil.which, ("qemu-system-x86_64", "clang-19", "ld.lld-19")))

# Orders within a script.
POWER_OFF, CLEAN, PANIC, RESET, HANG = b"\x01p", b"\x01x", b"\x01Q", b"\x01r", b"\x01h"
TESTS_FAILED = b"\x01f"


def marker(text: str) -> bytes:
    """A marker line as a guest's console sends it."""
    return b"\x1e" + text.encode() + b"\r\n"


class FakeGuest:
    """The assembled guest, in a folder of its own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="jx-fake-"))
        self._count = 0
        self.kernel = self._folder / "echo.elf"
        obj = str(self._folder / "echo.o")
        assemble = ["clang-19", "--target=i386-unknown-linux-gnu", "-c", str(_SOURCE), "-o", obj]
        subprocess.run(assemble, check=True)
        link = ["ld.lld-19", "-m", "elf_i386", "-Ttext=0x100000", "-e", "start", obj]
        subprocess.run(link + ["-o", str(self.kernel)], check=True)

    def files(self, script: bytes) -> BootFiles:
        """Boots into this script; after it, the guest echoes what is typed."""
        self._count += 1
        path = self._folder / f"script{self._count}"
        path.write_bytes(script)
        return BootFiles(self.kernel, path, "")

    def remove(self) -> None:
        shutil.rmtree(self._folder)


class FakeImages:
    """Stands in for the class BootImage: each start gets the next of the scripts.

    `started` notes what was asked for: (settings, commands).
    """

    def __init__(self, fake: FakeGuest, scripts: list[bytes]) -> None:
        self._fake = fake
        self._scripts = list(scripts)
        self.started: list[tuple[Settings, list[str] | None]] = []

    def __call__(self, settings: Settings, commands: list[str] | None = None) -> "FakeImages":
        self.started.append((settings, commands))
        return self

    def __enter__(self) -> BootFiles:
        return self._fake.files(self._scripts.pop(0))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass
