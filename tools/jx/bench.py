"""`./jx bench`: guest instructions per operation, beside those of other systems.

Boots the release build with one CPU under -icount, where one virtual nanosecond is one executed
instruction: figures do not depend on the host. What the kernel does at random (places, secrets) moves
some of them by up to 2 %. `!` marks a figure above its bar.
"""

import argparse
import json
import os
import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from genelf import sized
from thirdparty import npm
from thirdparty.recipe import RecipeError

from jx import build, disk, packages
from jx.bench_rows import ROWS, Row
from jx.guest import Event, GuestError
from jx.boot_image import ImageError
from jx.machine import Settings
from jx.markers import Marker
from jx.run import seconds, verdict
from jx.script import run_script
from jx.tree import ROOT, out_dir, writable_path

_PROGRAMS = ("bench", "bench_libc")
_DISK_PROGRAMS = ("bench_disk",)  # in a machine of their own: a disk changes what a boot costs
_DISK_ROWS = {"29", "29a", "29b", "29c", "30"}
# Up to the first instruction of a program that others made, if it can be had; else of one as large.
_LOAD_ROWS = {"38", "38a", "38b", "38c", "38d", "39"}
_LOAD = 'sh -c "/boot/measure/linux_load /data/program /data/ld.so load"'
_LOAD_COMMANDS = ('sh -c "ls /data"', _LOAD, _LOAD, "iostat", 'sh -c "cat /data/program >/dev/null"', "iostat")
_INTERPRETER = Path("/lib64/ld-linux-x86-64.so.2")
_PROGRAM_BYTES = 107_394_952
_FILE_BYTES = 64 << 20
_DISK_BYTES = 80 << 20
_TIMEOUT_S = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rows", nargs="*", metavar="ROW", help="only these rows (8 24b)")
    parser.add_argument("--json", type=writable_path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--timeout", type=seconds, default=_TIMEOUT_S, metavar="SECONDS")
    parser.add_argument("--verbose", action="store_true", help="show the QEMU command and all output")


def run(args: argparse.Namespace) -> int:
    unknown = set(args.rows) - {row.key for row in ROWS}
    if unknown:
        keys = " ".join(row.key for row in ROWS)
        print(f"jx: no such row: {' '.join(sorted(unknown))} (there are {keys})", file=sys.stderr)
        return 2
    packages.ensure("run")
    settings = Settings(
        smp=1, mem="1G", icount=True, append="bench.boot=1", verbose=args.verbose
    )
    try:
        build.build("release", ["boot_files"])
        figures, code = _measure_all(settings, args.rows, args.timeout)
    except (build.BuildError, ImageError, GuestError) as error:
        print(f"jx: {error}", file=sys.stderr)
        return 1
    folders = text_by_folder((out_dir("release") / "kernel" / "jacinth.map").read_text())
    if not args.rows or "33" in args.rows:
        figures["33"] = sum(folders.values())
    print(table(figures))
    if "33" in figures:
        print("kernel text by folder: " + ", ".join(f"{k} {v:,}" for k, v in folders.items()))
    if args.json is not None:
        args.json.write_text(to_json(figures))
    return code


def _measure_all(
    settings: Settings, rows: list[str], seconds: float
) -> tuple[dict[str, int], int]:
    """In a machine without disks, and in one with a file system, as far as rows want them."""
    figures: dict[str, int] = {}
    code = 0
    if not rows or set(rows) - _DISK_ROWS - _LOAD_ROWS:
        figures, code = _measure(settings, _PROGRAMS, rows, seconds)
    if code == 0 and (not rows or set(rows) & _DISK_ROWS):
        with TemporaryDirectory(prefix="jx-bench-") as folder:
            image, files = Path(folder) / "disk.img", Path(folder) / "files"
            files.mkdir()
            (files / "large").write_bytes(os.urandom(_FILE_BYTES))  # (zeros would be a hole)
            disk.create(files, image, _DISK_BYTES)
            program = out_dir("release") / "user" / "bench_disk"
            # What a boot costs is told by the machine without a disk and with the image as it is.
            with_disk = settings.with_changes(
                disks=(image,), adds=((program, "bin/bench_disk"),), append=""
            )
            more, code = _measure(with_disk, _DISK_PROGRAMS, rows, seconds)
        figures |= more
    if code == 0 and (not rows or set(rows) & _LOAD_ROWS):
        more, code = _measure_load(settings, seconds)
        figures |= {key: value for key, value in more.items() if not rows or key in rows}
    return figures, code


def _measure_load(settings: Settings, seconds: float) -> tuple[dict[str, int], int]:
    """What the launcher's Linux mode takes from a disk, and what a reader of the file does."""
    with TemporaryDirectory(prefix="jx-bench-") as folder:
        image, files = Path(folder) / "disk.img", Path(folder) / "files"
        files.mkdir()
        try:
            recipe = npm.read_recipe(ROOT / "third_party" / "bun" / "bun.json")
            shutil.copy(npm.fetch(recipe, npm.cache()), files / "program")
        except RecipeError as error:
            print(f"jx: rows 38 and 39 are those of a made-up file: {error}", file=sys.stderr)
            sized.write(files / "program", _PROGRAM_BYTES)
        shutil.copy(_INTERPRETER, files / "ld.so")
        disk.create(files, image, _PROGRAM_BYTES * 3 // 2)
        return _run_loads(settings.with_changes(disks=(image,), image="tests", append=""), seconds)


def _run_loads(settings: Settings, seconds: float) -> tuple[dict[str, int], int]:
    values: list[dict[str, int]] = [{} for _ in _LOAD_COMMANDS]
    texts = [b""] * len(_LOAD_COMMANDS)

    def note(event: Event, running: int | None) -> None:
        if running is None:
            return
        if isinstance(event, Marker) and event.word == "value":
            name, value = event.fields(2)
            values[running][name] = int(value)
        elif isinstance(event, bytes):
            texts[running] += event

    commands = list(_LOAD_COMMANDS)
    code = verdict(run_script(settings, commands, seconds, note), commands, seconds)
    if code != 0:
        return {}, code
    cold, warm = values[1], values[2]
    reads = [int(found[1]) for text in texts if (found := re.search(rb"disk0 +read +(\d+)", text))]
    return {
        "38": cold["load_reads"], "38a": cold["load_bytes"], "38b": cold["load_private"],
        "38c": cold["load_heap"], "38d": warm["load_bytes"], "39": reads[1] - reads[0],
    }, 0  # fmt: skip


def _measure(
    settings: Settings, programs: tuple[str, ...], rows: list[str], seconds: float
) -> tuple[dict[str, int], int]:
    figures: dict[str, int] = {}

    def note(event: Event, running: int | None) -> None:
        if isinstance(event, Marker) and event.word == "bench":
            key, value, _ = event.fields(3)
            if value.isdecimal() and (not rows or key in rows):
                figures[key] = int(value)
                print(f"row {key}: {int(value):,}", file=sys.stderr, flush=True)
        elif isinstance(event, bytes) and settings.verbose and running is not None:
            sys.stderr.write(event.decode("utf-8", "replace"))

    commands = [" ".join([program, *rows]) for program in programs]
    return figures, verdict(run_script(settings, commands, seconds, note), commands, seconds)


def table(figures: dict[str, int]) -> str:
    """Every row that there is a figure for, with the peers' columns."""
    head = ("row", "operation", "floor", "seL4", "Zircon", "Linux", "bar", "goal", "here", "")
    lines = [head] + [_cells(row, figures[row.key]) for row in ROWS if row.key in figures]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 1 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    )


def _cells(row: Row, value: int) -> tuple[str, ...]:
    bar = f"{row.ours:,}" if row.ours is not None else ""
    goal = f"{row.goal:,}" if row.goal is not None else ""
    mark = "!" if row.ours is not None and value > row.ours else ""
    peers = (row.floor, row.sel4, row.zircon, row.linux)
    return (row.key, row.name, *peers, bar, goal, f"{value:,}", mark)


def to_json(figures: dict[str, int]) -> str:
    """A list of {row, name, instructions}; what counts something else says so as its unit.

    A row is a number, or a string where a letter follows it.
    """
    entries = []
    for row in ROWS:
        if row.key in figures:
            entry: dict[str, object] = {
                "row": int(row.key) if row.key.isdecimal() else row.key, "name": row.name, "instructions": figures[row.key]
            }  # fmt: skip
            if row.unit:
                entry["unit"] = row.unit
            entries.append(entry)
    return json.dumps(entries, indent=1) + "\n"


def text_by_folder(link_map: str) -> dict[str, int]:
    """Bytes of code per top folder (two levels inside kernel/), from lld's link map.

    The in-kernel tests, which every image carries for `k ut`, are no part of the row.
    """
    sizes: dict[str, int] = {}
    for line in link_map.splitlines():
        words = line.split()
        # VMA LMA Size Align  path/to/object.o:(.text.name)
        if len(words) != 5 or ":(.text" not in words[4] or "_ktests." in words[4]:
            continue
        parts = words[4].partition("obj/")[2].split("/")
        folder = "/".join(parts[:2]) if parts[0] == "kernel" and len(parts) > 2 else parts[0]
        sizes[folder or "?"] = sizes.get(folder or "?", 0) + int(words[2], 16)
    return dict(sorted(sizes.items()))
