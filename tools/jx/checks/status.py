"""Tests that docs/status.md names as proofs must exist.

Their names are those of `./jx test --list`, in backticks: `KIND NAME`. They are looked up in the
sources and in the build's list of host programs, so that nothing has to boot. And system calls that
the page about porting says are missing must be missing.
"""

import fnmatch
import re

from jx.testing import host, python, system
from jx.tree import ROOT, tree_files

_PAGE = "docs/status.md"
_PORTING, _MISSING, _NEXT = (
    "docs/porting-from-zircon.md", "## Calls that do not exist here", "\n## ")
_NAMED = re.compile(r"`((?:host|kernel|user|system) [\w/]+[.:][\w.]+)`")
_KTEST = re.compile(r"^KTEST(?:_WITH)?\(\s*(\w+),\s*(\w+)", re.MULTILINE)
_GROUP = re.compile(r'^GROUP\("(\w+)"\)', re.MULTILINE)
_CALL = re.compile(r"^call (\w+)", re.MULTILINE)
_CASE = re.compile(r"^CASE(?:_WITHIN)?\((\w+)", re.MULTILINE)


def check() -> list[str]:
    known = _kernel_and_user() | {f"host {name}" for name in host.list_tests("release")}
    known |= {f"system {name}" for path in system.files() for name in python.list_tests(path)}
    unknown = sorted(set(named((ROOT / _PAGE).read_text())) - known)
    messages = [f"{_PAGE}: no such test: {name}" for name in unknown]
    part = (ROOT / _PORTING).read_text().partition(_MISSING)[2].partition(_NEXT)[0]
    text = "\n".join(path.read_text() for path in (ROOT / "syscall/defs").glob("*.def"))
    calls = _CALL.findall(text)
    return messages + [f"{_PORTING}: says that there is no {name}" for name in denied(part, calls)]


def denied(text: str, calls: list[str]) -> list[str]:
    """Of the calls, those that a text names (`name` or `begin_*`) as missing."""
    patterns = re.findall(r"`([a-z][a-z_]+\*?)`", text)
    return [call for call in calls if any(fnmatch.fnmatchcase(call, p) for p in patterns)]


def named(text: str) -> list[str]:
    """The tests that a page names, in their order."""
    return _NAMED.findall(text)


def _kernel_and_user() -> set[str]:
    names = set()
    for path in tree_files(".c"):
        text = path.read_text()
        names |= {f"kernel {group}.{case}" for group, case in _KTEST.findall(text)}
        group = _GROUP.search(text)
        if group is not None:
            names |= {f"user {group.group(1)}.{case}" for case in _CASE.findall(text)}
    return names
