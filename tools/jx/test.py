"""`./jx test`: builds, then runs the tests: host, kernel, user and system.

The suite runs once (release, q35, direct boot, 4 CPUs), then a short smoke test in eight other
machines. The closing line is `N passed, N failed, N skipped`; the exit code is 0 only if none failed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from jx import build, machine, packages
from jx.guest import GuestError
from jx.boot_image import ImageError
from jx.machine import VARIANTS, Settings
from jx.testing import host, kernel, pairwise, system, user
from jx.testing.results import FAILED, Report, Result, matches
from jx.tree import ROOT, writable_path

_MATRIX_MEM = "256M"
KINDS = (host.KIND, kernel.KIND, user.KIND, system.KIND)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="part of a name, or a glob")
    parser.add_argument(
        "--kind", dest="kinds", action="append", choices=KINDS, help="only this kind (repeatable)"
    )
    parser.add_argument("--list", action="store_true", help="names of the tests, and no more")
    parser.add_argument("--matrix", action="store_true", help="the full suite in every machine")
    parser.add_argument("--soak", action="store_true", help="the long stress tests, too")
    parser.add_argument("--junit", type=writable_path, metavar="FILE", help="write the results as JUnit XML")
    machine.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    settings = machine.from_arguments(args)
    kinds = tuple(args.kinds or KINDS)
    packages.ensure("run" if kinds != (host.KIND,) else "build")
    whole = not args.patterns and not args.kinds and settings == Settings(verbose=settings.verbose)
    settings = settings.with_changes(image="tests")
    started = time.monotonic()
    try:
        # The host's programs are made by the release build only.
        every = args.matrix or (whole and not args.list)
        for variant in VARIANTS:
            if every or variant in ("release", settings.variant):
                build.build(variant)
        if args.list:
            return _list(settings, kinds, args.patterns, soak=args.soak)
    except (build.BuildError, RuntimeError) as error:
        print(f"jx: {error}", file=sys.stderr)
        return 1
    report = Report()
    _run_suites(settings, kinds, args, report, whole=whole)
    if args.junit is not None:
        report.write_junit(args.junit)
    if not report.results:
        print("jx: no test has this name", file=sys.stderr)
        report.close()
        return 1
    print(f"({time.monotonic() - started:.0f} s)")
    return report.close()


def _present(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Of these kinds, those that the tree holds something to test for: a kernel, an init."""
    top, init = ROOT / "kernel/top/BUILD.gn", ROOT / "system/init/BUILD.gn"
    absent = set()
    if not top.exists() or 'kernel_image("jacinth")' not in top.read_text():
        absent = {kernel.KIND, user.KIND}
    elif not init.exists():
        absent = {user.KIND}
    return tuple(kind for kind in kinds if kind not in absent)


def _list(settings: Settings, kinds: tuple[str, ...], patterns: list[str], *, soak: bool) -> int:
    found = False
    for kind in _present(kinds):
        for name in _names(settings, kind, soak=soak):
            if matches(kind, name, patterns):
                print(f"{kind} {name}")
                found = True
    if not found:
        print("jx: no test has this name", file=sys.stderr)
    return 0 if found else 1


def _names(settings: Settings, kind: str, *, soak: bool) -> list[str]:
    if kind == host.KIND:
        return host.list_tests("release")
    if kind == system.KIND:
        return system.list_tests(soak=soak)
    return kernel.list_tests(settings) if kind == kernel.KIND else user.list_tests(settings)


def _run_suites(
    settings: Settings,
    kinds: tuple[str, ...],
    args: argparse.Namespace,
    report: Report,
    *,
    whole: bool,
) -> None:
    if host.KIND in kinds:
        report.section("host")
        host.run("release", args.patterns, report, soak=args.soak)
    kinds = _present(kinds)
    machines = pairwise.all_machines(settings) if args.matrix else [settings]
    repeats = system.Repeats()
    for one in machines:
        report.suffix = f"@{one.name()}" if args.matrix else ""
        for kind in kinds:
            if kind != host.KIND:
                report.section(f"{kind}, {one.name()}")
                _run_kind(kind, one, args, report, repeats)
    report.suffix = ""
    if whole and not args.matrix and user.KIND in kinds:
        report.section("smoke test in other machines")
        for one in pairwise.smoke_machines(settings):
            _guarded(lambda: system.smoke(one, report), report, f"smoke.{one.name()}")


def _run_kind(
    kind: str,
    settings: Settings,
    args: argparse.Namespace,
    report: Report,
    repeats: system.Repeats,
) -> None:
    def action() -> None:
        if kind == kernel.KIND:
            kernel.run(settings, args.patterns, report)
        elif kind == user.KIND:
            # Tests that use up the memory take as long as there is memory: 24 times, half will do.
            less = {"mem": _MATRIX_MEM} if args.matrix and settings.mem == Settings().mem else {}
            user.run(settings.with_changes(**less), args.patterns, report)
        else:
            system.run(settings, args.patterns, report, soak=args.soak, repeats=repeats)

    _guarded(action, report, f"{kind}.{settings.name()}")


def _guarded(action: Callable[[], None], report: Report, name: str) -> None:
    """A runner that cannot go on is a failed test, and the other tests run."""
    try:
        action()
    except (GuestError, ImageError, OSError, RuntimeError) as error:
        report.add(Result("runner", name, FAILED, 0.0, str(error)))
