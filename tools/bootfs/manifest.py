"""The list of files that go into a boot image.

A manifest is a text file of lines BOOT_PATH=HOST_PATH. Blank lines and lines that begin with # are
skipped; there is no quoting. Host paths are relative to the folder given as root. On the command
line files are added the other way round, HOST_PATH=BOOT_PATH, because the host's file is what the
user has in hand.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

NAME_LEN_MAX = 255


class ManifestError(Exception):
    """Something is wrong with the list of files; the text says what and where."""


@dataclass(frozen=True)
class Entry:
    """One file of the image."""

    boot_path: str
    host_path: Path
    origin: str  # where it was asked for, for error messages


def check_boot_path(path: str, origin: str) -> None:
    """Raises unless the path is one that every reader accepts."""
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise ManifestError(
            f"{origin}: boot path {path!r} must be relative, without empty, '.' or '..' components"
        )
    if "\0" in path or "\n" in path:
        raise ManifestError(f"{origin}: boot path {path!r} contains a control character")
    if len(path.encode()) > NAME_LEN_MAX:
        raise ManifestError(f"{origin}: boot path {path!r} is longer than {NAME_LEN_MAX} bytes")


def make_entry(boot_path: str, host_path: Path, origin: str) -> Entry:
    check_boot_path(boot_path, origin)
    return Entry(boot_path, host_path, origin)


def parse_manifest(text: str, root: Path, name: str) -> list[Entry]:
    """Reads the text of a manifest; `name` stands for it in errors."""
    entries = []
    for number, raw_line in enumerate(text.splitlines(), start=1):
        line = raw_line.strip()
        if not line or line.startswith("#"):
            continue
        boot_path, equals, host_path = line.partition("=")
        origin = f"{name}:{number}"
        if not equals or not host_path:
            raise ManifestError(f"{origin}: expected BOOT_PATH=HOST_PATH, found {line!r}")
        entries.append(make_entry(boot_path, root / host_path, origin))
    return entries


def parse_addition(argument: str) -> Entry:
    """Reads one --add argument, HOST_PATH=BOOT_PATH. The last = separates."""
    host_path, equals, boot_path = argument.rpartition("=")
    origin = f"--add {argument}"
    if not equals or not host_path or not boot_path:
        raise ManifestError(f"{origin}: expected HOST_PATH=BOOT_PATH")
    return make_entry(boot_path.removeprefix("/boot/"), Path(host_path), origin)


def check_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Returns the entries sorted by boot path; raises on duplicates and on files that do not exist."""
    by_path: dict[str, Entry] = {}
    for entry in entries:
        other = by_path.setdefault(entry.boot_path, entry)
        if other is not entry:
            raise ManifestError(
                f"{entry.origin}: {entry.boot_path!r} is already there ({other.origin})"
            )
        if not entry.host_path.is_file():
            raise ManifestError(f"{entry.origin}: no such file: {entry.host_path}")
    for entry in by_path.values():
        parts = entry.boot_path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder in by_path:
                raise ManifestError(
                    f"{entry.origin}: {folder!r} is a file ({by_path[folder].origin}), not a folder"
                )
    return [by_path[path] for path in sorted(by_path, key=str.encode)]
