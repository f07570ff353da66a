"""`./jx debug`: QEMU halted at its first instruction, gdb attached with the kernel's symbols.

The kernel runs where it was linked plus a fixed offset (`kaslr=off`). The serial line appears between
gdb's own lines. With --wait gdb is yours to start: the console is here, the command is printed.

With --attach it is a program that is debugged, not the kernel: `gdbserver` starts it in the machine,
stopped at its first instruction, and gdb speaks to that over the second serial port.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from jx import build, interactive, machine, packages
from jx.guest import Ended, Guest, GuestError
from jx.boot_image import BootImage, ImageError
from jx.machine import Settings
from jx.markers import Marker, in_words
from jx.tree import ROOT, out_dir

# Run address minus link address without KASLR: KERNEL_IMAGE_BASE of <arch/layout.h>.
_BIAS = 0xFFFFFFFF80000000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c", dest="commands", action="append", metavar="COMMAND", help="what init is to run"
    )
    parser.add_argument("--wait", action="store_true", help="do not start gdb, say how to")
    parser.add_argument(
        "--break", dest="breaks", action="append", default=[], metavar="FUNCTION",
        help="stop there (kernel_main if none is given)",
    )
    parser.add_argument(
        "--attach", metavar="PROGRAM", help="debug this program, with its arguments, not the kernel"
    )
    parser.add_argument(
        "--running", action="store_true", help="with --attach: the process of that name, as it runs"
    )
    machine.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    packages.ensure("debug")
    settings = machine.from_arguments(args)
    folder = Path(tempfile.mkdtemp(prefix="jx-gdb-"))
    port = folder / "gdb"
    try:
        build.build(settings.variant, ["boot_files"])
        if args.attach:
            return _debug_program(settings, port, args)
        settings = settings.with_changes(
            append=f"kaslr=off {settings.append}".strip(),
            qemu_args=settings.qemu_args + (f"-S -gdb unix:{port},server=on,wait=off",),
        )
        gdb = gdb_command(settings, port, args.breaks or ["kernel_main"])
        if args.wait:
            print(f"jx: {' '.join(map(_quoted, gdb))}", file=sys.stderr, flush=True)
            return interactive.run(settings, args.commands, patient=True)
        return _run_gdb(settings, gdb, args.commands)
    except (build.BuildError, ImageError, GuestError) as error:
        print(f"jx: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def gdb_command(settings: Settings, port: Path, breaks: list[str]) -> list[str]:
    kernel = settings.kernel_elf()
    commands = [
        "set confirm off",
        "set pagination off",
        "set width 0",
        # Twice: where the boot code runs, and where the kernel proper does.
        f"symbol-file {kernel}",
        f"add-symbol-file {kernel} -o {_BIAS:#x}",
        f"target remote {port}",
    ]
    # Software breakpoints would be overwritten when the kernel is copied to its place.
    commands += [f"hbreak *({_BIAS:#x} + (unsigned long)&{name})" for name in breaks]
    command = ["gdb", "-q", "-nx", "--cd", str(ROOT)]
    for line in commands:
        command += ["-ex", line]
    return command


# ---- programs ----

# What gdbserver says once it listens.
_READY = b"the line is free for gdb"
# What markers mean here: a line of the run list (of `-c`, or gdbserver) is over.
_TOLD = {"panic": "kernel panic:", "exit": "jx: ended with code"}
_START_SECONDS = 120.0


def _debug_program(settings: Settings, port: Path, args: argparse.Namespace) -> int:
    program = args.attach.split()[0]
    option = "--attach " if args.running else ""
    settings = settings.with_changes(
        qemu_args=settings.qemu_args
        + (f"-chardev socket,id=gdb,path={port},server=on,wait=off -serial chardev:gdb",)
    )
    commands = [*(args.commands or []), f"gdbserver {option}{args.attach}"]
    elf = program_elf(settings, program)
    gdb = program_gdb_command(elf, port, args.breaks, library_folder(settings, port.parent))
    if args.wait:
        print(f"jx: {' '.join(map(_quoted, gdb))}", file=sys.stderr, flush=True)
        return interactive.run(settings, commands, patient=True)
    return _run_gdb(settings, gdb, commands, ready=_READY)


def program_elf(settings: Settings, program: str) -> Path:
    """The file, with its symbols, that lies in the boot image as that program."""
    name = program.removeprefix("/boot/")
    boot = name if "/" in name else f"bin/{name}"
    for file, added_as in settings.adds:
        if added_as == boot:
            return file
    for path, file in _boot_files(settings):
        if path == boot:
            return file
    raise ImageError(f"no file of the build is {program}")


def _boot_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """What is in the image as built, each as the file that has its symbols."""
    out = out_dir(settings.variant)
    for line in (out / f"{settings.image}.manifest").read_text().splitlines():
        path, equals, file = line.partition("=")
        if equals:
            # What is in the image has no symbols; the file it was made from lies one folder above.
            yield path, out / file.replace("/stripped/", "/")


def library_folder(settings: Settings, parent: Path) -> Path:
    """A folder with the libraries, under the names that programs know them by."""
    folder = parent / "libraries"
    folder.mkdir()
    libraries = dict(_boot_files(settings)) | {boot: file for file, boot in settings.adds}
    libraries["lib/libzircon.so"] = out_dir(settings.variant) / "user/libzircon.so"  # the vDSO
    for boot, file in libraries.items():
        if boot.startswith("lib/"):
            (folder / Path(boot).name).symlink_to(file.resolve())
    return folder


def program_gdb_command(elf: Path, port: Path, breaks: list[str], libraries: Path) -> list[str]:
    # gdb asks the other end where the image and its libraries are. No file of this machine is one of them.
    lines = ["set confirm off", "set pagination off", "set width 0"]
    lines += [f"set sysroot {libraries}", f"set solib-search-path {libraries}", f"target remote {port}"]
    lines += [f"break {name}" for name in breaks]
    command = ["gdb", "-q", "-nx", "--cd", str(ROOT), str(elf)]
    for line in lines:
        command += ["-ex", line]
    return command


# ---- both ----


def _quoted(word: str) -> str:
    return f"'{word}'" if " " in word or "*" in word else word


def _run_gdb(
    settings: Settings, command: list[str], commands: list[str] | None, ready: bytes | None = None
) -> int:
    """Runs gdb beside the console, once that has shown `ready`."""
    with BootImage(settings, commands) as files:
        with Guest(settings, files, patient=True) as guest:
            console = _Console(guest, ready)
            # Ctrl-C is for gdb. A handler, not SIG_IGN: gdb would inherit that.
            before = signal.signal(signal.SIGINT, lambda number, frame: None)
            console.start()
            try:
                if not console.wait_until_ready():
                    print("jx: the program cannot be debugged", file=sys.stderr)
                    return 1
                return subprocess.run(command, cwd=ROOT).returncode
            finally:
                signal.signal(signal.SIGINT, before)
                console.end()


class _Console(threading.Thread):
    """Shows what comes over the console's line."""

    def __init__(self, guest: Guest, ready: bytes | None) -> None:
        super().__init__()
        self._guest = guest
        self._ready = ready
        self._seen = b""
        self._found = threading.Event()  # `ready`, or the end
        self._ended = False
        self._over = threading.Event()

    def wait_until_ready(self) -> bool:
        return self._ready is None or (self._found.wait(_START_SECONDS) and not self._ended)

    def end(self) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.is_set():
            event = self._guest.next(time.monotonic() + 0.3)
            if isinstance(event, bytes):
                # The boot code's sign of life is for those who look why a machine says nothing.
                sys.stdout.buffer.write(event if self._seen else event.removeprefix(b"!"))
                sys.stdout.buffer.flush()
                self._look(event)
            elif isinstance(event, Marker):
                words = f"{_TOLD[event.word]} {event.rest}" if event.word in _TOLD else in_words(event)
                if words:
                    print(words, flush=True)
            elif isinstance(event, Ended):
                print(f"jx: the machine ended: {event.words()}", flush=True)
                self._ended = not self._found.is_set()
                self._found.set()
                return

    def _look(self, text: bytes) -> None:
        self._seen = (self._seen + text)[-4096:]
        if self._ready is not None and self._ready in self._seen:
            self._found.set()
