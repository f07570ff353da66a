"""`./jx check`: what a compiler does not say about the tree.

Layout, headers that compile alone, goldens, opt-outs of the thread-safety analysis, tests that nobody
would run, links of the Markdown pages, and types in the Python tools. `--update` copies new goldens into the tree.
"""

import argparse
import sys
import time
from collections.abc import Callable

from jx import build, fmt, packages
from jx.checks import goldens, headers, links, opt_outs, orphans, status, third_party, types


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--update", action="store_true", help="accept the goldens as they are now")
    parser.add_argument("names", nargs="*", metavar="CHECK", help=f"of: {', '.join(_CHECKS)}")


# Each gives one message per thing that is wrong.
_CHECKS: dict[str, Callable[[], list[str]]] = {
    "format": fmt.unformatted,
    "headers": headers.check,
    "goldens": goldens.check,
    "opt-outs": opt_outs.check,
    "orphans": orphans.check,
    "status": status.check,
    "links": links.check,
    "third-party": third_party.check,
    "types": types.check,
}


def run(args: argparse.Namespace) -> int:
    unknown = [name for name in args.names if name not in _CHECKS]
    if unknown:
        print(f"jx: no such check: {' '.join(unknown)}", file=sys.stderr)
        return 2
    packages.ensure("check")
    try:
        build.build("release")
    except build.BuildError as error:
        print(f"jx: {error}", file=sys.stderr)
        return 1
    if args.update:
        for name in goldens.update():
            print(f"updated {name}")
    bad = 0
    for name in args.names or _CHECKS:
        started = time.monotonic()
        messages = _CHECKS[name]()
        for message in messages:
            print(message)
        verdict = f"{len(messages)} wrong" if messages else "ok"
        print(f"== {name}: {verdict} ({time.monotonic() - started:.1f} s)", flush=True)
        bad += len(messages)
    print(f"thread-safety opt-outs: {opt_outs.count()}")
    return 0 if bad == 0 else 1
