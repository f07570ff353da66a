#!/usr/bin/env python3
"""Lists what is in a boot image: items with offsets, the command line, the files of the bootfs."""

import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bootfs import image
from zbi import container

TYPE_NAMES = {
    container.TYPE_DISCARD: "DISCARD",
    container.TYPE_BOOTFS: "BOOTFS",
    container.TYPE_RAMDISK: "RAMDISK",
    container.TYPE_CMDLINE: "CMDLINE",
}


def describe(data: bytes) -> list[str]:
    lines = []
    for item in container.read(data):
        name = TYPE_NAMES.get(item.type, f"{item.type:#010x}")
        lines.append(f"{name:<10} offset {item.payload_offset:#x} length {len(item.payload)}")
        if item.type == container.TYPE_CMDLINE:
            lines.append("    " + item.payload.rstrip(b"\0").decode(errors="replace"))
        elif item.type == container.TYPE_BOOTFS:
            for path, content in image.read(item.payload).items():
                lines.append(f"    {len(content):>10} {path}")
    return lines


def main(argv: list[str]) -> int:
    if len(argv) != 1:
        print("usage: dump.py IMAGE", file=sys.stderr)
        return 2
    try:
        lines = describe(Path(argv[0]).read_bytes())
    except (container.ContainerError, image.ImageError, OSError) as error:
        print(f"dump.py: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
