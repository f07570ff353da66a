#!/usr/bin/env python3
"""Packs the boot image: a ZBI with the kernel command line and a bootfs of files.

    pack.py --output system.zbi --manifest boot.manifest --add build/hello=bin/hello --cmdline 'a=b'

The bootfs payload begins on a page of the image, and every file on a page of the bootfs, so that
files can be mapped where they lie. The same input gives the same bytes. Later --manifest and --add
arguments must not name a boot path that is already taken, unless --replace is given (then the last
one counts).
"""

import argparse
import os
import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bootfs import image, manifest
from symbols import elf_symbols, symbol_file
from zbi import container

RAW_ITEM_TYPES = {"ramdisk": container.TYPE_RAMDISK, "discard": container.TYPE_DISCARD}


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="pack a boot image")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--manifest", type=Path, action="append", default=[], help="lines BOOT_PATH=HOST_PATH"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="what host paths in manifests are relative to"
    )
    parser.add_argument("--add", action="append", default=[], metavar="HOST_PATH=BOOT_PATH")
    parser.add_argument("--replace", action="store_true", help="later entries replace earlier ones")
    parser.add_argument("--cmdline", action="append", default=[], metavar="TEXT")
    parser.add_argument(
        "--item", action="append", default=[], metavar="|".join(RAW_ITEM_TYPES) + "=FILE"
    )
    parser.add_argument("--crc", action="store_true", help="checksum every item")
    parser.add_argument(
        "--symbols", metavar="BOOT_PATH", help="put the names of all functions there, for the machine itself"
    )
    parser.add_argument(
        "--symbols-of", type=Path, action="append", default=[], metavar="FILE",
        help="with those of this file, which is not in the image",
    )  # fmt: skip
    parser.add_argument("--depfile", type=Path, help="for ninja: what the image was made from")
    return parser.parse_args(argv)


def collect_entries(args: argparse.Namespace) -> list[manifest.Entry]:
    entries: list[manifest.Entry] = []
    for path in args.manifest:
        entries += manifest.parse_manifest(path.read_text(), args.root, str(path))
    entries += [manifest.parse_addition(argument) for argument in args.add]
    if args.replace:
        entries = list({entry.boot_path: entry for entry in entries}.values())
    return manifest.check_entries(entries)


def add_symbols(args: argparse.Namespace, entries: list[manifest.Entry]) -> list[manifest.Entry]:
    """The entries with the file of names, which is written beside the image."""
    if args.symbols is None:
        return entries
    files = {elf_symbols.with_symbols(entry.host_path) for entry in entries} | set(args.symbols_of)
    modules = [elf_symbols.read(path.read_bytes()) for path in sorted(files)]
    path = args.output.with_suffix(".symbols")
    path.write_bytes(symbol_file.write(module for module in modules if module is not None))
    return manifest.check_entries([*entries, manifest.make_entry(args.symbols, path, "--symbols")])


def raw_items(arguments: list[str]) -> list[tuple[int, Path]]:
    items = []
    for argument in arguments:
        kind, equals, path = argument.partition("=")
        if not equals or kind not in RAW_ITEM_TYPES:
            raise manifest.ManifestError(f"--item {argument}: expected {'|'.join(RAW_ITEM_TYPES)}=FILE")
        items.append((RAW_ITEM_TYPES[kind], Path(path)))
    return items


def pack(args: argparse.Namespace) -> list[Path]:
    """Writes the image beside its final name and moves it there; returns the files it read."""
    args.output.parent.mkdir(parents=True, exist_ok=True)
    inputs = collect_entries(args)
    extra_items = raw_items(args.item)
    layout = image.plan(add_symbols(args, inputs))
    unfinished = args.output.with_name(args.output.name + ".tmp")
    try:
        with unfinished.open("w+b") as out:
            writer = container.Writer(out, args.crc)
            if args.cmdline:
                with writer.item(container.TYPE_CMDLINE) as payload:
                    payload.write(" ".join(args.cmdline).encode() + b"\0")
            writer.align_payload()
            with writer.item(container.TYPE_BOOTFS, layout.image_len) as payload:
                image.write(layout, payload)
            for kind, path in extra_items:
                writer.align_payload()
                with writer.item(kind, path.stat().st_size) as payload:
                    payload.write(path.read_bytes())
            writer.finish()
        os.replace(unfinished, args.output)
    finally:
        unfinished.unlink(missing_ok=True)
    files = [entry.host_path for entry in inputs] + args.symbols_of
    return files + [path for _, path in extra_items] + args.manifest


def write_depfile(path: Path, output: Path, inputs: list[Path]) -> None:
    names = " ".join(str(name).replace(" ", "\\ ") for name in inputs)
    path.write_text(f"{output}: {names}\n")


def main(argv: list[str]) -> int:
    args = parse_arguments(argv)
    try:
        inputs = pack(args)
    except (manifest.ManifestError, image.ImageError, container.ContainerError, OSError) as error:
        print(f"pack.py: {error}", file=sys.stderr)
        return 1
    if args.depfile is not None:
        write_depfile(args.depfile, args.output, inputs)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
