"""Generated files of which the tree keeps a copy: a change of a generator must show in the diff.

`golden_file` targets (//build/templates/python.gni) name the pairs.
"""

import difflib
import shutil
from pathlib import Path

from jx.checks.gn import targets
from jx.tree import ROOT, out_dir

_SHOWN_LINES = 40


def pairs() -> list[tuple[Path, Path]]:
    """(generated, golden) of every golden in the build."""
    found = []
    for target in targets():
        for entry in target.metadata.get("goldens", []):
            generated, _, golden = str(entry).partition("=")
            found.append((out_dir("release") / generated, ROOT / golden))
    return sorted(set(found))


def check() -> list[str]:
    return [message for generated, golden in pairs() for message in _compare(generated, golden)]


def update() -> list[str]:
    """Copies what was generated over the goldens that differ; gives their names."""
    changed = []
    for generated, golden in pairs():
        if _compare(generated, golden):
            golden.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(generated, golden)
            changed.append(str(golden.relative_to(ROOT)))
    return changed


def _compare(generated: Path, golden: Path) -> list[str]:
    name = golden.relative_to(ROOT)
    if not generated.is_file():
        return [f"{name}: {generated} was not generated"]
    if not golden.is_file():
        return [f"{name}: there is no such golden (./jx check --update)"]
    new, old = generated.read_text(), golden.read_text()
    if new == old:
        return []
    diff = list(difflib.unified_diff(old.splitlines(), new.splitlines(), "golden", "generated"))
    text = "\n".join(line.rstrip("\n") for line in diff[:_SHOWN_LINES])
    return [f"{name}: differs from what is generated (./jx check --update accepts it)\n{text}"]
