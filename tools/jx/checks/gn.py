"""What gn knows about the targets of the release build."""

import functools
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from jx.tree import ROOT, out_dir


@dataclass(frozen=True)
class Target:
    """One target in one toolchain; paths are absolute."""

    label: str
    toolchain: str
    kind: str
    files: tuple[Path, ...]
    flags: tuple[str, ...]
    deps: tuple[str, ...]
    metadata: dict[str, list[object]]

    @property
    def name(self) -> str:
        """The label without the toolchain."""
        return self.label.partition("(")[0]


@functools.cache
def targets() -> tuple[Target, ...]:
    """All targets, in all toolchains that the build uses."""
    command = ["gn", "desc", str(out_dir("release")), "*", "--format=json", "--all-toolchains"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(_target(label, entry) for label, entry in json.loads(answer.stdout).items())


def _target(label: str, entry: dict[str, object]) -> Target:
    def words(key: str) -> list[str]:
        value = entry.get(key, [])
        return [str(item) for item in value] if isinstance(value, list) else []

    files = [_path(name) for name in words("sources") + words("public") if name != "*"]
    flags = [f"-D{name}" for name in words("defines")]
    flags += [f"-I{_path(name)}" for name in words("include_dirs")]
    flags += words("cflags") + words("cflags_c")
    metadata = entry.get("metadata", {})
    return Target(
        label, str(entry.get("toolchain", "")).rpartition(":")[2], str(entry["type"]),
        tuple(files), tuple(flags), tuple(words("deps")),
        metadata if isinstance(metadata, dict) else {},
    )  # fmt: skip


def _path(name: str) -> Path:
    return ROOT / name[2:] if name.startswith("//") else Path(name)
