#!/usr/bin/env python3
"""Makes the image of an EFI system partition that boots Jacinth.

    make_esp.py --output esp.img --loader BOOTX64.efi --kernel jacinth.elf --zbi system.zbi

The image is one FAT volume without a partition table, just large enough. What is on it: the loader
as /EFI/BOOT/BOOTX64.EFI, and beside it in the root jacinth.bin (the flat kernel), system.zbi and
cmdline.txt (both optional). Uses mtools.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from esp.flat_kernel import FlatKernelError, flatten

_MIB = 1 << 20
_FAT32_FROM_BYTES = 64 * _MIB


def volume_bytes(content: list[int]) -> int:
    """How large the volume has to be: files in whole clusters, tables, directories, some air."""
    clusters = sum((size + 32767) // 32768 * 32768 for size in content)
    return (clusters + clusters // 64 + 4 * _MIB) // _MIB * _MIB


def _mtools(*words: str | Path) -> None:
    # The check that mtools would make is for floppy geometries.
    environment = os.environ | {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": "/dev/null"}
    answer = subprocess.run(
        [str(word) for word in words], env=environment, capture_output=True, text=True, timeout=120
    )
    if answer.returncode != 0:
        raise OSError(f"{words[0]}: {answer.stderr.strip() or answer.returncode}")


def make_volume(output: Path, files: dict[str, Path]) -> None:
    """`files`: name on the volume (with its folders) -> file. An existing output is replaced."""
    size = volume_bytes([path.stat().st_size for path in files.values()])
    output.unlink(missing_ok=True)
    with output.open("wb") as image:
        image.truncate(size)
    kind = ["-F"] if size >= _FAT32_FROM_BYTES else []
    # Heads and sectors only have to multiply to the size; one track of 32 KiB * 64 heads = 1 MiB.
    geometry = ["-t", str(size // _MIB), "-h", "64", "-s", "32"]
    _mtools("mformat", "-i", output, "-v", "JACINTH", *kind, *geometry, "::")
    made: set[str] = set()
    for name, path in files.items():
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in made:
                _mtools("mmd", "-i", output, f"::/{folder}")
                made.add(folder)
        _mtools("mcopy", "-i", output, path, f"::/{name}")


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="make an EFI system partition")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--loader", type=Path, required=True, help="BOOTX64.efi")
    parser.add_argument("--kernel", type=Path, required=True, help="the kernel's ELF")
    parser.add_argument("--zbi", type=Path, help="the boot image")
    parser.add_argument("--cmdline", type=Path, metavar="FILE", help="holds the command line")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    arguments = _arguments(argv)
    try:
        with TemporaryDirectory(prefix="jx-esp-") as folder:
            flat = Path(folder) / "jacinth.bin"
            flat.write_bytes(flatten(arguments.kernel.read_bytes()))
            files = {"EFI/BOOT/BOOTX64.EFI": arguments.loader, "jacinth.bin": flat}
            if arguments.zbi is not None:
                files["system.zbi"] = arguments.zbi
            if arguments.cmdline is not None:
                files["cmdline.txt"] = arguments.cmdline
            make_volume(arguments.output, files)
    except (OSError, FlatKernelError, subprocess.TimeoutExpired) as error:
        print(f"make_esp: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
