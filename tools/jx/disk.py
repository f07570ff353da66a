"""`./jx disk create DIR IMAGE`: an ext2 file system with the files of a folder, for `./jx run --disk`."""

import argparse
import subprocess
import sys
from pathlib import Path

from jx import machine, packages
from jx.tree import writable_path

_MIB = 1 << 20
_SIZE_MIN = 8 * _MIB


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make an image of a folder's files")
    create.add_argument("folder", type=_folder, metavar="DIR")
    create.add_argument("image", type=writable_path, metavar="IMAGE")
    create.add_argument(
        "--size", type=machine.mem_size, metavar="SIZE", help="(what the files need, and half as much)"
    )


def run(args: argparse.Namespace) -> int:
    packages.ensure("disk")
    size = machine.mem_bytes(args.size) if args.size is not None else size_for(args.folder)
    try:
        create(args.folder, args.image, size)
    except (OSError, subprocess.CalledProcessError) as error:
        why = error.stderr if isinstance(error, subprocess.CalledProcessError) else error
        print(f"jx: {args.image}: {str(why).strip()}", file=sys.stderr)
        return 1
    print(f"{args.image}: {size // _MIB} MiB, ext2")
    return 0


def create(folder: Path, image: Path, size: int) -> None:
    """Writes the image beside its name first: one that failed is never left behind."""
    if size < _MIB:
        raise OSError("too small for a file system: 1M at least")
    unfinished = image.with_name(image.name + ".unfinished")
    try:
        with unfinished.open("wb") as file:
            file.truncate(size)
        words = ["mke2fs", "-q", "-F", "-t", "ext2", "-b", "4096", "-E", "root_owner=0:0", "-d", str(folder)]
        subprocess.run([*words, str(unfinished)], check=True, capture_output=True, text=True)
        unfinished.replace(image)
    finally:
        unfinished.unlink(missing_ok=True)


def size_for(folder: Path) -> int:
    """Whole MiB: each file in blocks, an inode for it, and room to write."""
    used = 0
    for path in folder.rglob("*"):
        used += 8192 + (path.lstat().st_size if not path.is_dir() else 0)
    return max(_SIZE_MIN, (used * 3 // 2 + _MIB) // _MIB * _MIB)


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"no such folder: {text}")
    return path
