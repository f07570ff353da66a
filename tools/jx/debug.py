"""`./jx debug`: QEMU halted at its first instruction, gdb attached with the kernel's symbols.

The kernel runs where it was linked plus a fixed offset (`kaslr=off`). The serial line appears between
gdb's own lines. With --wait gdb is yours to start: the console is here, the command is printed.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from jx import build, interactive, machine, packages
from jx.guest import Ended, Guest, GuestError
from jx.image import BootImage, ImageError
from jx.machine import Settings
from jx.markers import Marker
from jx.tree import ROOT

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
    machine.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    packages.ensure("debug")
    settings = machine.from_arguments(args)
    folder = Path(tempfile.mkdtemp(prefix="jx-gdb-"))
    try:
        build.build(settings.variant, ["boot_files"])
        port = folder / "gdb"
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


def _quoted(word: str) -> str:
    return f"'{word}'" if " " in word or "*" in word else word


def _run_gdb(settings: Settings, command: list[str], commands: list[str] | None) -> int:
    with BootImage(settings, commands) as files:
        with Guest(settings, files, patient=True) as guest:
            stop = threading.Event()
            pump = threading.Thread(target=_show_console, args=(guest, stop))
            pump.start()
            # Ctrl-C is for gdb. A handler, not SIG_IGN: gdb would inherit that.
            before = signal.signal(signal.SIGINT, lambda number, frame: None)
            try:
                return subprocess.run(command, cwd=ROOT).returncode
            finally:
                signal.signal(signal.SIGINT, before)
                stop.set()
                pump.join()


def _show_console(guest: Guest, stop: threading.Event) -> None:
    while not stop.is_set():
        event = guest.next(time.monotonic() + 0.3)
        if isinstance(event, bytes):
            sys.stdout.buffer.write(event)
            sys.stdout.buffer.flush()
        elif isinstance(event, Marker):
            print(f"[{event.word}] {event.rest}", flush=True)
        elif isinstance(event, Ended):
            print(f"jx: the machine ended: {event.words()}", flush=True)
            return
