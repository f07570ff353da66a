"""`./jx run`: boots Jacinth, to its prompt or to run the commands given with -c.

A command is a line of the shell, if the image has one. The exit code is that of the last command;
127 if there is no such command, 124 after --timeout, 70 after a kernel panic, 69 if the machine ended
before it was done.
"""

import argparse
import os
import sys

from jx import build, interactive, machine, packages
from jx.guest import Event, GuestError
from jx.boot_image import ImageError
from jx.machine import Settings
from jx.markers import Marker, in_words
from jx.script import ScriptResult, run_script, symbolizer
from jx.symbolize import FrameStream
from jx.tree import out_dir

EXIT_ENDED_EARLY = 69
EXIT_PANIC = 70
EXIT_TIMEOUT = 124

_DEFAULT_TIMEOUT_S = 60.0
_SHELL = "bin/sh"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c", dest="commands", action="append", metavar="COMMAND",
        help="run this line of the shell and power off (may be repeated)",
    )
    parser.add_argument(
        "--direct", action="store_true",
        help="init runs the commands, not the shell: words, and programs with what their paragraphs say",
    )
    parser.add_argument(
        "--timeout", type=seconds, metavar="SECONDS",
        help="limit for everything that -c runs (60), or for the machine (none)",
    )
    machine.add_arguments(parser)


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"not a number of seconds above 0 and below 1000000: {text!r}")
    return value


def run(args: argparse.Namespace) -> int:
    settings = machine.from_arguments(args)
    packages.ensure("run")
    try:
        build.build(settings.variant, ["boot_files"])
        if args.commands is None:
            return interactive.run(settings, limit=args.timeout)
        limit = args.timeout or _DEFAULT_TIMEOUT_S
        return run_commands(settings, args.commands, limit, direct=args.direct)
    except (build.BuildError, ImageError, GuestError) as error:
        print(f"jx: {error}", file=sys.stderr)
        return 1


def run_commands(settings: Settings, commands: list[str], seconds: float, *, direct: bool = False) -> int:
    frames = FrameStream(symbolizer(settings))
    by_shell = not direct and _has_shell(settings)
    lines = [shell_line(command) for command in commands] if by_shell else commands
    result = run_script(settings, lines, seconds, lambda *event: _show(frames, *event))
    for command, text in zip(result.commands, commands):
        command.command = text
    os.write(sys.stdout.fileno(), frames.flush())
    code = verdict(result, commands, seconds)
    log = result.debug_log.removeprefix("!")  # the boot code's sign of life
    if log and (settings.verbose or (not result.commands and code != 0)):
        # If not even the first command began, the kernel's log says more than we can.
        print(f"jx: the kernel's log:\n{log}", file=sys.stderr)
    return code


def shell_line(command: str) -> str:
    """A line of init's run list by which the shell runs the command."""
    quoted = command.replace("'", "'\\''")
    return f"sh -c '{quoted}'"


def _has_shell(settings: Settings) -> bool:
    """Whether the boot image has one; else the commands are init's own."""
    manifest = out_dir(settings.variant) / f"{settings.image}.manifest"
    return any(boot == _SHELL for _, boot in settings.adds) or any(
        line.startswith(f"{_SHELL}=") for line in manifest.read_text().splitlines()
    )


def _show(frames: FrameStream, event: Event, running: int | None) -> None:
    """Passes on what commands write, and says in words what markers and frames inside it mean."""
    if running is None:
        return
    if isinstance(event, bytes):
        data = frames.feed(event)
    elif isinstance(event, Marker) and (words := in_words(event)):
        data = f"{words}\n".encode()
    else:
        return
    os.write(sys.stdout.fileno(), data)


def verdict(result: ScriptResult, commands: list[str], seconds: float) -> int:
    """The exit code, after saying on stderr what went wrong."""
    if result.panicked:
        print(result.panic or "jx: the kernel panicked without a report", file=sys.stderr)
        return EXIT_PANIC
    running = result.running()
    where = f"while `{running.command}` ran" if running is not None else "with no command running"
    if result.timed_out:
        print(f"jx: time limit of {seconds:g} s reached {where}", file=sys.stderr)
        return EXIT_TIMEOUT
    if not result.complete(len(commands)):
        assert result.end is not None
        print(f"jx: the machine ended early {where}: {result.end.words()}", file=sys.stderr)
        return EXIT_ENDED_EARLY
    last = result.commands[-1].code if result.commands else 0
    return 0 if last is None else shell_code(last)


def shell_code(code: int) -> int:
    """An exit code that a shell can carry; what does not fit (a killed program) is never 0."""
    return code if 0 <= code <= 255 else (code % 256 or 1)
