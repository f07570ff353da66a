"""Every header belongs to a target and compiles alone, in each environment that has it."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jx.build import clean_environment
from jx.checks.gn import Target, targets
from jx.tree import ROOT, out_dir, tree_files

# Compiled with musl, in its manner, by a build of its own (tools/thirdparty/musl.py).
_OVERLAY = ROOT / "sdk" / "libc" / "overlay"


def check() -> list[str]:
    jobs: dict[tuple[Path, str], Target] = {}
    for target in targets():
        for path in target.files:
            # A fuzz build of a header differs from the host's by instrumentation only.
            # A generated one that no build step needed is not there.
            if path.suffix == ".h" and target.toolchain != "none" and path.is_file():
                jobs.setdefault((path, target.toolchain), target)
    messages = [
        f"{path.relative_to(ROOT)}: no target lists this header (`public` or `sources`)"
        for path in tree_files(".h")
        if not path.is_relative_to(_OVERLAY) and not any(path == job[0] for job in jobs)
    ]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for found in pool.map(lambda job: _compile(job[0][0], job[1]), sorted(jobs.items(), key=str)):
            messages += found
    return messages


def _compile(path: Path, target: Target) -> list[str]:
    """Includes the header from an empty file: it must bring all that it needs."""
    flags = [flag for flag in target.flags if flag not in ("-fcolor-diagnostics",)]
    command = ["clang-19", *flags, "-fsyntax-only", "-Wno-unused-function", "-include", str(path)]
    answer = subprocess.run(
        command + ["-x", "c", "/dev/null"], cwd=out_dir("release"), env=clean_environment(),
        capture_output=True, text=True,
    )  # fmt: skip
    if answer.returncode == 0:
        return []
    first = next((line for line in answer.stderr.splitlines() if "error:" in line), "")
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return [f"{name}: does not compile alone ({target.toolchain}): {first.strip()}"]
