"""`./jx sdk`: the SDK as a folder that needs nothing of this tree and works wherever it is moved to.

    clang-19 --config=out/sdk/jacinth-static.cfg hello.c -o hello
    ./jx run --add hello=bin/hello -c hello
"""

import argparse
import sys
from pathlib import Path

from sdk import kit

from jx import packages
from jx.build import BuildError, build
from jx.tree import ROOT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", type=Path, metavar="DIR", dest="target", default=ROOT / "out" / "sdk",
        help="where it goes (out/sdk)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    packages.ensure("sdk")
    try:
        make(args.target.absolute())
    except (BuildError, kit.KitError, OSError) as error:
        print(f"jx: {error}", file=sys.stderr)
        return 1
    print(args.target)
    print(f"jx: clang-19 --config={args.target}/jacinth.cfg hello.c -o hello", file=sys.stderr)
    return 0


def make(target: Path) -> None:
    """Brings the build up to date and lays the SDK out at `target`."""
    out = build("release", ["sdk"])
    kit.assemble(kit.Places(ROOT, out, ROOT / "out" / "third_party" / "musl"), target)
