"""Things that nobody would build or run: BUILD files that nothing reaches, tests that no list names."""

import json
import re
from pathlib import Path

from jx.checks.gn import targets
from jx.tree import ROOT, out_dir, tree_files

_KERNEL_TESTS = "//kernel/top:ktests"
_TEST_SOURCE = re.compile(r"_(test|ktest|fuzzer)\.c$")


def check() -> list[str]:
    return _build_files() + _test_sources() + _host_tests() + _kernel_tests()


def _build_files() -> list[str]:
    loaded = {target.name.partition(":")[0] for target in targets()}
    messages = []
    for path in tree_files("BUILD.gn"):
        folder = "//" + str(path.parent.relative_to(ROOT)).removeprefix(".")
        # Configs and toolchains are no targets.
        if folder not in loaded and not folder.startswith("//build"):
            messages.append(f"{folder}/BUILD.gn: nothing in the build reaches it")
    return messages


def _test_sources() -> list[str]:
    """Sources of tests that no target compiles."""
    built: set[Path] = {path for target in targets() for path in target.files}
    return [
        f"{path.relative_to(ROOT)}: no target compiles this test"
        for path in tree_files(".c")
        if _TEST_SOURCE.search(path.name) and path not in built
    ]


def _host_tests() -> list[str]:
    """Host tests that are declared and not in the list that `./jx test` runs."""
    entries = json.loads((out_dir("release") / "host_tests.json").read_text())
    listed = {entry["label"] for entry in entries}
    declared = {target.name for target in targets() if "declared_host_tests" in target.metadata}
    return [f"{name}: not in //:host_tests" for name in sorted(declared - listed)]


def _kernel_tests() -> list[str]:
    names = {target.name for target in targets()}
    if _KERNEL_TESTS not in names:
        return []
    declared = {name for name in names if name.endswith("_ktests")}
    reached = _reached(_KERNEL_TESTS)
    return [f"{name}: not in {_KERNEL_TESTS}" for name in sorted(declared - reached)]


def _reached(start: str) -> set[str]:
    """Labels (without toolchains) that a target depends on, however indirectly."""
    deps: dict[str, set[str]] = {}
    for target in targets():
        words = {label.partition("(")[0] for label in target.deps}
        deps.setdefault(target.name, set()).update(words)
    seen: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += deps.get(name, set())
    return seen
