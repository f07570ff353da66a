"""`./jx fmt`: lays out C by .clang-format and BUILD files by `gn format`.

Without names: the files that differ from the last commit; with --all every file of the tree.
"""

import argparse
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jx import packages, tree
from jx.tree import ROOT, changed_files, tree_files

C_SUFFIXES = (".c", ".h")
GN_SUFFIXES = (".gn", ".gni")

# Files per run of clang-format: enough to forget what its start costs.
_BATCH = 16
_COMPLAINT = re.compile(r"(\S+?):\d+:\d+: \w+: .*clang-format-violations")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--all", action="store_true", help="every file, not only changed ones")


def run(args: argparse.Namespace) -> int:
    packages.ensure("fmt")
    if args.files:
        files = [tree.file_in_tree(path) for path in args.files]
    else:
        find = tree_files if args.all else changed_files
        files = find(*C_SUFFIXES, *GN_SUFFIXES)
    before = {path: path.read_bytes() for path in files}
    failed = _format(files)
    for path in files:
        if path.read_bytes() != before[path]:
            print(f"formatted {path.relative_to(ROOT)}")
    return 1 if failed else 0


def _format(files: list[Path]) -> bool:
    c_files = [str(path) for path in files if path.suffix in C_SUFFIXES]
    gn_files = [str(path) for path in files if path.suffix in GN_SUFFIXES]
    failed = False
    if c_files:
        failed |= subprocess.run(["clang-format-19", "-i", *c_files], cwd=ROOT).returncode != 0
    for name in gn_files:
        command = ["gn", "format", name]
        failed |= subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode != 0
    return failed


def _unformatted_c(names: list[str]) -> set[str]:
    command = ["clang-format-19", "--dry-run", "--ferror-limit=1", *names]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    return {m.group(1) for m in map(_COMPLAINT.match, answer.stderr.splitlines()) if m is not None}


def unformatted() -> list[str]:
    """Files of the tree that `./jx fmt --all` would change, one message each."""
    c_files = [str(path.relative_to(ROOT)) for path in tree_files(*C_SUFFIXES)]
    batches = [c_files[i : i + _BATCH] for i in range(0, len(c_files), _BATCH)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        found = sorted(name for names in pool.map(_unformatted_c, batches) for name in names)
    messages = [f"{name}: not formatted (./jx fmt)" for name in found]
    for path in tree_files(*GN_SUFFIXES):
        command = ["gn", "format", "--dry-run", str(path)]
        if subprocess.run(command, cwd=ROOT, capture_output=True).returncode != 0:
            messages.append(f"{path.relative_to(ROOT)}: not formatted (./jx fmt)")
    return messages


