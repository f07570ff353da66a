"""Holds the build to its time: all of the release build (kernel, programs, tests, fuzzers) from
nothing within 60 s, a change in the kernel within 5 s.

    python3 -m jx.build_time [--margin FACTOR]

That is meant on two cores that do nothing else. On a busy machine, where time passes while others
run, the processor time counts instead, divided by two for the cores and by 1.5 because it grows there
itself: caches and threads of a core are shared. `--margin` (or JX_BUILD_MARGIN) multiplies the limits
on a machine that is slower than a desktop of its day; 1.0 otherwise.

The full build goes to folders of its own under out/, which are removed; the changed file is only
touched.
"""

import argparse
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jx import build, packages
from jx.tree import ROOT

_CORES = 2
# How much more processor time the same work may take when others work beside it.
_BUSY_FACTOR = 1.5
_FULL_S, _INCREMENTAL_S = 60.0, 5.0
_TOUCHED = ROOT / "kernel" / "sched" / "sched.c"


@dataclass(frozen=True)
class Spent:
    """What a piece of work took."""

    passed_s: float
    cpu_s: float

    def counts_s(self) -> float:
        return min(self.passed_s, max(self.cpu_s / _CORES / _BUSY_FACTOR, self._idle_s()))

    def _idle_s(self) -> float:
        """The processor time without allowance, if nothing says that the machine was busy."""
        busy = self.passed_s > _BUSY_FACTOR * self.cpu_s / _CORES
        return 0.0 if busy else self.cpu_s / _CORES


def verdict(name: str, spent: Spent, limit_s: float) -> tuple[bool, str]:
    """Whether it is within the limit, and a line that says so."""
    ok = spent.counts_s() <= limit_s
    how = "ok" if ok else "TOO LONG"
    return ok, (
        f"{name}: {spent.counts_s():.1f} s, limit {limit_s:.0f} s: {how} "
        f"({spent.passed_s:.1f} s passed, {spent.cpu_s:.1f} s of processor time)"
    )


def _measure(action: Callable[[], object]) -> Spent:
    def cpu() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    passed, used = time.monotonic(), cpu()
    action()
    return Spent(time.monotonic() - passed, cpu() - used)


def _folder(variant: str) -> Path:
    return ROOT / "out" / f"timing-{variant}"


def _build_all() -> None:
    build.build("release", jobs=_CORES, folder=_folder("release"))


def _build_changed() -> None:
    os.utime(_TOUCHED)
    build.build("release", jobs=_CORES, folder=_folder("release"))


def _is_rebuilt() -> bool:
    """The kernel is newer than the file that was touched."""
    kernel = _folder("release") / "kernel" / "jacinth.elf"
    return kernel.stat().st_mtime >= _TOUCHED.stat().st_mtime


def _remove() -> None:
    shutil.rmtree(_folder("release"), ignore_errors=True)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="hold the build to its time")
    parser.add_argument(
        "--margin", type=float, default=float(os.environ.get("JX_BUILD_MARGIN", "1")),
        metavar="FACTOR", help="multiplies the limits on a slow machine (1)",
    )  # fmt: skip
    margin = parser.parse_args(argv).margin
    packages.ensure("build")
    _remove()
    try:
        full = _measure(_build_all)
        changed = _measure(_build_changed)
        noticed = _is_rebuilt()
    except build.BuildError as error:
        print(f"jx: {error}", file=sys.stderr)
        return 1
    finally:
        _remove()
    results = [
        verdict("full build", full, _FULL_S * margin),
        verdict("a change in the kernel", changed, _INCREMENTAL_S * margin),
    ]
    for _, line in results:
        print(line)
    if not noticed:
        print("the changed file was not built again")
    return 0 if noticed and all(ok for ok, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
