"""The command line of `./jx`: which subcommands there are."""

import argparse
import os
import signal
import sys
from types import ModuleType
from typing import NoReturn

from jx import (
    bench, build, check, debug, disk, doctor, fmt, image, manual, run, sdk, test, third_party,
)  # fmt: skip
from jx.packages import PackageError

# name -> (module with add_arguments(parser) and run(args) -> exit code, help)
_COMMANDS: dict[str, tuple[ModuleType, str]] = {
    "build": (build, "build everything (--debug, --all: the debug build)"),
    "run": (run, "boot, to the prompt or to run commands"),
    "test": (test, "run the tests"),
    "bench": (bench, "instructions per operation, beside other systems"),
    "debug": (debug, "boot halted, with gdb attached"),
    "sdk": (sdk, "the SDK: headers, libraries, configurations, examples"),
    "image": (image, "make a disk image that boots, and prove it"),
    "disk": (disk, "make a disk image of a folder's files"),
    "fmt": (fmt, "format changed files, or all"),
    "check": (check, "layout, headers, goldens and more"),
    "docs": (manual, "the manual as a static site"),
    "third-party": (third_party, "make software from source packages"),
    "doctor": (doctor, "versions of the tools, what is missing"),
}


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and where all the flags are."""

    def error(self, message: str) -> NoReturn:
        words = self.prog.split()[1:2]
        self.exit(2, f"jx: {': '.join([*words, message])} ({' '.join(['./jx help', *words])} says more)\n")


def make_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="./jx", description="Jacinth's one driver command.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, text) in _COMMANDS.items():
        sub = commands.add_parser(
            name, help=text, description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        module.add_arguments(sub)
        sub.set_defaults(run=module.run, parser=sub)
    return parser


def parse(argv: list[str]) -> argparse.Namespace:
    """Exits after an error or a request for help; what is wrong is said by whom it concerns."""
    if not argv or argv[0] == "help":  # `help`, `help run`
        argv = [*argv[1:2], "--help"]
    args, extra = make_parser().parse_known_args(argv)
    if extra:
        hint = " (a command for the machine goes after -c)" if args.command == "run" else ""
        args.parser.error(f"unrecognized arguments: {' '.join(extra)}{hint}")
    return args


def main(argv: list[str]) -> int:
    args = parse(argv)
    # Whoever ends us politely gets our temporary files and machines cleared away.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return int(args.run(args))
    except argparse.ArgumentTypeError as error:  # arguments that do not go together
        print(f"jx: {error}", file=sys.stderr)
        return 2
    except PackageError as error:
        print(f"jx: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever reads us has seen enough (`./jx test --list | head`); nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
