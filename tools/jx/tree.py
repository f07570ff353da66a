"""Where things are: the tree's root, its files, the build folders."""

import argparse
import os
import subprocess
from pathlib import Path

ROOT: Path = Path(__file__).resolve().parents[2]


def out_dir(variant: str) -> Path:
    """The build folder of a variant ("release" or "debug")."""
    return ROOT / "out" / variant


def tree_files(*suffixes: str) -> list[Path]:
    """The tree's own files with one of these endings: committed ones and new ones, not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = {ROOT / name for name in answer.stdout.split("\0") if name.endswith(suffixes)}
    return sorted(path for path in paths if path.is_file())


def changed_files(*suffixes: str) -> list[Path]:
    """Of these, the ones that differ from the last commit or are new."""
    command = ["git", "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    changed = {ROOT / entry[3:] for entry in answer.stdout.split("\0") if entry}
    return [path for path in tree_files(*suffixes) if path in changed]


def file_in_tree(path: Path) -> Path:
    """A file that was named on the command line, which must be one of the tree's."""
    found = path.resolve()
    if not found.is_file():
        raise argparse.ArgumentTypeError(f"no such file: {path}")
    if not found.is_relative_to(ROOT):
        raise argparse.ArgumentTypeError(f"not a file of this tree: {path}")
    return found


def writable_path(text: str) -> Path:
    """Where results are to go: refused before the work is done, not after it."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"a folder, not a file: {text}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"no such folder: {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"may not be written: {text}")
    return path
