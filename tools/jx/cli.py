"""The command line of `./jx`: which subcommands there are."""

import argparse
import sys
from types import ModuleType

from jx import build
from jx.packages import PackageError

# name -> (module with add_arguments(parser) and run(args) -> exit code, help)
_COMMANDS: dict[str, tuple[ModuleType, str]] = {
    "build": (build, "build everything (release and debug)"),
}


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./jx", description="Jacinth's one driver command.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, text) in _COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=module.__doc__)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def main(argv: list[str]) -> int:
    args = make_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except PackageError as error:
        print(f"jx: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
