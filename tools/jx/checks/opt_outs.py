"""Functions that clang's thread-safety analysis does not look at: counted, and each with a reason."""

import re
from pathlib import Path

from jx.tree import ROOT, tree_files

_USE = re.compile(r"\bTA_OFF\b|\bno_thread_safety_analysis\b")
_DEFINITION = re.compile(r"#\s*define\s+TA_OFF\b")


def uses(text: str) -> list[tuple[int, bool]]:
    """(line number, whether there is a comment on the line or right above the declaration)."""
    lines = text.splitlines()
    found = []
    for index, line in enumerate(lines):
        code, _, comment = line.partition("//")
        if _USE.search(code) and not _DEFINITION.search(code):
            found.append((index + 1, bool(comment.strip()) or _comment_above(lines, index)))
    return found


def _comment_above(lines: list[str], index: int) -> bool:
    """A declaration may take several lines; the comment stands before its first."""
    while index > 0:
        index -= 1
        line = lines[index].strip()
        if line.startswith("//"):
            return True
        if not line or line.endswith((";", "}", "{")) or line.startswith("#"):
            return False
    return False


def _all() -> list[tuple[Path, int, bool]]:
    return [
        (path, number, explained)
        for path in tree_files(".c", ".h")
        for number, explained in uses(path.read_text())
    ]


def count() -> int:
    return len(_all())


def check() -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: an opt-out of the thread-safety analysis without a reason"
        for path, number, explained in _all()
        if not explained
    ]
