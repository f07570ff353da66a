"""docs/third-party.md must list what is under third_party/, in the recipes' versions."""

import json
from pathlib import Path

from jx.tree import ROOT, tree_files

_PAGE = "docs/third-party.md"


def check() -> list[str]:
    text = (ROOT / _PAGE).read_text()
    folder = ROOT / "third_party"
    names = {
        path.relative_to(folder).parts[0]
        for path in tree_files(".json", ".gn", ".md", ".patch")
        if path.is_relative_to(folder)
    }
    return [message for name in sorted(names) for message in problems(folder / name, text)]


def problems(folder: Path, page: str) -> list[str]:
    """What is wrong with one folder; `page` is the text of the page."""
    recipe = folder / f"{folder.name}.json"
    if not recipe.is_file():
        return [f"third_party/{folder.name}: no {recipe.name}"]
    lines = [line for line in page.splitlines() if f"](../third_party/{folder.name}/" in line]
    if not lines:
        return [f"{_PAGE}: no word of third_party/{folder.name}"]
    version = json.loads(recipe.read_text()).get("version")
    if version is not None and not any(f"| {version} |" in line for line in lines):
        return [f"{_PAGE}: {folder.name} is {version} by its recipe"]
    return []
