"""From checked archives to a patched source folder.

Nothing is unpacked and no patch applied whose SHA-256 is not the recipe's. The archive with the
distribution's patches is not pinned itself, but nothing else of it is used. The folder appears
under its name only when it is complete.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from thirdparty.recipe import Recipe, RecipeError, file_digest

_STAMP = ".recipe"
_PATCHES = "debian/patches/"
_MAX_PATCH_BYTES = 1 << 20


def have_archives(recipe: Recipe, downloads: Path) -> bool:
    """Everything is there that was fetched once."""
    archives = [downloads / name for name in recipe.archives]
    if not all(path.is_file() for path in archives):
        return False
    if recipe.packaging and not any(downloads.glob(recipe.packaging)):
        return False
    return all(file_digest(path) == recipe.archives[path.name] for path in archives)


def check_archives(recipe: Recipe, downloads: Path) -> None:
    for name, wanted in recipe.archives.items():
        path = downloads / name
        if not path.is_file():
            raise RecipeError(f"{name} was not fetched")
        found = file_digest(path)
        if found != wanted:
            raise RecipeError(f"{name} is not the pinned one: SHA-256 {found}, not {wanted}")


def pinned_patches(recipe: Recipe, packaging: Path) -> dict[str, bytes]:
    """The recipe's patches, in its order, from the distribution's archive."""
    found: dict[str, bytes] = {}
    series: list[str] = []
    with tarfile.open(packaging) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            is_patch = member.isreg() and name.startswith(_PATCHES)
            if not is_patch or member.size > _MAX_PATCH_BYTES:
                continue
            file = archive.extractfile(member)
            assert file is not None  # it is a regular file
            found[name.removeprefix(_PATCHES)] = file.read()
    for line in found.get("series", b"").decode().splitlines():
        series += line.partition("#")[0].split()[:1]
    known = recipe.patches.keys() | recipe.left_out.keys()
    unknown = [name for name in series if name not in known]
    if unknown:
        # Perhaps a security fix of today: no reason to fail, but somebody must look at it.
        text = f"{packaging.name} has patches the recipe does not know: {' '.join(unknown)}"
        print(f"warning: {text}", file=sys.stderr)
    for name, wanted in recipe.patches.items():
        if name not in found:
            raise RecipeError(f"{packaging.name} has no patch {name}")
        digest = hashlib.sha256(found[name]).hexdigest()
        if digest != wanted:
            raise RecipeError(f"{name} is not the pinned one: SHA-256 {digest}, not {wanted}")
    return {name: found[name] for name in recipe.patches}


def extract(archive_path: Path, into: Path, top: str, skip: Sequence[str] = ()) -> None:
    """Files and folders below `top` and nothing else: no links, no devices, no way out."""
    with tarfile.open(archive_path) as archive:
        for member in archive:
            parts = PurePosixPath(member.name).parts
            if not parts or parts[0] != top or ".." in parts:
                raise RecipeError(f"{archive_path.name}: {member.name} is not below {top}/")
            if parts[1:] and parts[1] in skip:
                continue
            target = into.joinpath(*parts)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            file = archive.extractfile(member) if member.isreg() else None
            if file is None:
                raise RecipeError(f"{archive_path.name}: {member.name} is neither file nor folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                shutil.copyfileobj(file, out)
            target.chmod(0o755 if member.mode & 0o100 else 0o644)


def apply_patch(folder: Path, name: str, patch: bytes) -> None:
    """All of it, at the lines it was made for but for offsets, or an error."""
    command = ["patch", "-p1", "--batch", "--forward", "--fuzz=0", "--no-backup-if-mismatch"]
    answer = subprocess.run(command, cwd=folder, input=patch, capture_output=True)
    if answer.returncode != 0:
        said = (answer.stdout + answer.stderr).decode(errors="replace").strip()
        raise RecipeError(f"{name} does not apply:\n{said}")


def _distribution_patches(recipe: Recipe, downloads: Path) -> dict[str, bytes]:
    if not recipe.packaging:
        return {}
    packagings = sorted(downloads.glob(recipe.packaging), key=lambda path: path.stat().st_mtime)
    if not packagings:
        raise RecipeError(f"{recipe.packaging} was not fetched")
    return pinned_patches(recipe, packagings[-1])


def unpacked(recipe: Recipe, folder: Path) -> Path:
    """Where the source is, once it is there."""
    return folder / f"{recipe.package}-{recipe.version}"


def is_unpacked(recipe: Recipe, folder: Path) -> bool:
    stamp = unpacked(recipe, folder) / _STAMP
    return stamp.is_file() and stamp.read_text() == recipe.key()


def unpack(recipe: Recipe, downloads: Path, folder: Path) -> Path:
    """The patched source; made anew only if the recipe has changed."""
    source = unpacked(recipe, folder)
    if is_unpacked(recipe, folder):
        return source
    top = source.name
    check_archives(recipe, downloads)
    patches = _distribution_patches(recipe, downloads)
    patches |= {name: text.encode() for name, text in recipe.own_patches.items()}
    fresh = folder / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name in recipe.archives:
        extract(downloads / name, fresh, top, recipe.skip)
    for name, patch in patches.items():
        apply_patch(fresh / top, name, patch)
    (fresh / top / _STAMP).write_text(recipe.key())
    shutil.rmtree(source, ignore_errors=True)
    (fresh / top).rename(source)
    fresh.rmdir()
    return source
