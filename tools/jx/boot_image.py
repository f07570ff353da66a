"""The files a machine boots: the kernel, the boot image with its additions, and for UEFI an ESP."""

import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from jx.machine import OVMF_VARS, BootFiles, Settings
from jx.tree import ROOT, out_dir

# Kernel options that the runner relies on (tests/README.md).
_RUNNER_CMDLINE = "log.serial=0 debug.exit=0xf4"
# HANDOFF_MAX_CMDLINE of <boot/handoff.h> without the NUL. With more, QEMU's own loader overwrites
# what it hands to the kernel.
_CMDLINE_MAX = 4095
_RUN_LIST = "etc/run"


class ImageError(Exception):
    """A boot image could not be made; the tool has said why."""


class BootImage:
    """Boot files for one start, in a folder of their own that goes away with the `with` block."""

    def __init__(
        self, settings: Settings, commands: list[str] | None = None, *, for_runner: bool = True
    ) -> None:
        """`commands`: the run list; None boots to the prompt.

        `for_runner`: with the kernel options that the runner relies on.
        """
        for command in commands or []:
            if "\n" in command or "\0" in command:
                raise ImageError(f"a command is one line: {command!r}")
        self._settings = settings
        self._commands = commands
        self._options = _RUNNER_CMDLINE if for_runner else ""
        self._stack = ExitStack()

    def __enter__(self) -> BootFiles:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="jx-image-")))
            files = self._make(folder)
            self._stack = stack.pop_all()
        return files

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _make(self, folder: Path) -> BootFiles:
        out = out_dir(self._settings.variant)
        # Under -icount the clock runs ahead while the machine waits for a disk.
        patience = "disk.patience=0" if self._settings.icount and self._settings.disks else ""
        cmdline = " ".join(filter(None, (self._options, patience, self._settings.append)))
        length = len(cmdline.encode())
        if length > _CMDLINE_MAX:
            raise ImageError(f"the kernel's line has {length} bytes, at most {_CMDLINE_MAX} fit")
        kernel = self._settings.kernel_elf()
        zbi = self._zbi(out, folder)
        if not self._settings.uefi:
            return BootFiles(kernel, zbi, cmdline)
        esp, variables = folder / "esp.img", folder / "vars.fd"
        shutil.copyfile(OVMF_VARS, variables)
        cmdline_file = folder / "cmdline.txt"
        cmdline_file.write_text(cmdline)
        _run_tool(
            ROOT / "tools/esp/make_esp.py", "--output", esp,
            "--loader", out / "uefi" / "BOOTX64.efi", "--kernel", kernel, "--zbi", zbi,
            "--cmdline", cmdline_file,
        )  # fmt: skip
        return BootFiles(kernel, zbi, cmdline, esp=esp, vars=variables)

    def _zbi(self, out: Path, folder: Path) -> Path:
        """The image as built, or a new one if there is something to add."""
        adds = [f"{host}={boot}" for host, boot in self._settings.adds]
        if self._commands is not None:
            run_list = folder / "run"
            run_list.write_text("".join(f"{command}\n" for command in self._commands))
            adds.append(f"{run_list}={_RUN_LIST}")
        if not adds:
            return out / f"{self._settings.image}.zbi"
        zbi = folder / "system.zbi"
        # What is added may take the place of what is there: one's own `bin/hello`.
        words: list[str | Path] = ["--manifest", f"{self._settings.image}.manifest", "--output", zbi, "--replace"]
        words += ["--symbols", "symbols", "--symbols-of", "user/libzircon.so"]
        for add in adds:
            words += ["--add", add]
        _run_tool(ROOT / "tools/zbi/pack.py", *words, cwd=out)
        return zbi


def _run_tool(script: Path, *words: str | Path, cwd: Path = ROOT) -> None:
    command = [sys.executable, str(script), *map(str, words)]
    answer = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    if answer.returncode != 0:
        raise ImageError(answer.stderr.strip() or f"{script.name} failed")
