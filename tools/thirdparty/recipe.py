"""A recipe, `third_party/NAME/NAME.json`: what is fetched and what it must be.

    package, release     the distribution's source package, and the release to take it from
    version              of the software; its archives unpack to PACKAGE-VERSION
    archives             name -> SHA-256
    packaging            pattern for the archive with the distribution's patches. It is not pinned:
                         it gets a new name with every change that the distribution makes. Empty:
                         none of them is used, and the archive is not fetched
    patches              name -> SHA-256, applied in this order
    left_out             patches of the distribution that are not applied, and why
    skip                 folders of the archives that are not unpacked (none if missing)

Files `*.patch` beside it are ours: applied after the distribution's, in the order of their names.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")


class RecipeError(Exception):
    """A recipe that cannot be carried out; the message says why."""


@dataclass(frozen=True)
class Recipe:
    package: str
    release: str
    version: str
    archives: dict[str, str]
    packaging: str
    patches: dict[str, str]
    left_out: dict[str, str]
    skip: tuple[str, ...] = ()
    own_patches: dict[str, str] = field(default_factory=dict)  # name -> text

    def key(self) -> str:
        """Differs whenever the unpacked source would."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


def read_recipe(path: Path) -> Recipe:
    try:
        entry = json.loads(path.read_text())
        recipe = Recipe(
            str(entry["package"]), str(entry["release"]), str(entry["version"]),
            dict(entry["archives"]), str(entry["packaging"]), dict(entry["patches"]),
            dict(entry["left_out"]), tuple(entry.get("skip", ())),
            {file.name: file.read_text() for file in sorted(path.parent.glob("*.patch"))},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecipeError(f"{path}: {type(error).__name__}: {error}") from error
    if not recipe.archives:
        raise RecipeError(f"{path}: no archives")
    if recipe.patches and not recipe.packaging:
        raise RecipeError(f"{path}: patches, but nowhere to take them from")
    for name, digest in (recipe.archives | recipe.patches).items():
        # A name becomes a path.
        if not _NAME.fullmatch(name) or not _DIGEST.fullmatch(str(digest)):
            raise RecipeError(f"{path}: not a file name and its SHA-256: {name}: {digest}")
    return recipe


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
