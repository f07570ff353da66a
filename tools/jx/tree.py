"""Where things are: the tree's root, its files, the build folders."""

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
